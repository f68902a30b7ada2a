Interactions of several files in one table: what is above $bits in a line number tells the file, from 1.

-- name: create
CREATE OR REPLACE TEMP TABLE pair_files (number BIGINT NOT NULL, source VARCHAR NOT NULL);

-- name: remember_file
INSERT INTO pair_files VALUES ($number, $source);

-- name: shift_lines
-- Lines of earlier files have been shifted already.
UPDATE raw_pairs SET line = line + $number * $bits WHERE line < $bits;

-- name: place_rejects
-- Rejects of all files together are given back to their file; a repeat of another file's line names that file.
CREATE OR REPLACE TEMP TABLE placed_rejects AS
WITH told AS (
    SELECT *, try_cast(regexp_extract(detail, '^same .* as line ([0-9]+)', 1) AS BIGINT) AS kept FROM staged_rejects WHERE source = $source
)
SELECT f.source, t.line % $bits AS line, t.reason, t.text_start,
    CASE WHEN k.source IS NULL THEN t.detail
         WHEN k.number = f.number THEN replace(t.detail, 'line ' || t.kept, 'line ' || t.kept % $bits)
         ELSE replace(t.detail, 'line ' || t.kept, 'line ' || t.kept % $bits || ' of ' || k.source) END AS detail
FROM told AS t JOIN pair_files AS f ON f.number = t.line // $bits LEFT JOIN pair_files AS k ON k.number = t.kept // $bits;

-- name: forget_unplaced
DELETE FROM staged_rejects WHERE source = $source;

-- name: write_placed
INSERT INTO staged_rejects SELECT source, line, reason, detail, text_start FROM placed_rejects;
