Interactions of several files in one table: what is above $bits in a line number tells the file.

-- name: shift_lines
UPDATE raw_pairs SET line = line + $shift WHERE line < $bits AND $shift > 0;

-- name: place_rejects
-- Rejects of all files together are given back to their file; a repeat may be of a line of another one.
UPDATE staged_rejects SET source = $label, line = line - $number * $bits,
    detail = CASE WHEN starts_with(reason, 'duplicate') AND NOT $alone THEN 'the same user and item as another line of these files, which is kept' ELSE detail END
WHERE source = $source AND line // $bits = $number;
