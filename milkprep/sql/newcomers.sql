New items, in a store of their own: what was read of their table, and what became of their content.

-- name: refused
SELECT coalesce(line, 0), detail, coalesce(text_start, '') FROM staged_rejects ORDER BY line;

-- name: items
SELECT item_idx, i.item_key, title, line FROM items AS i JOIN kept_items USING (item_idx) ORDER BY item_idx;

-- name: availability
-- Whether each item has each modality, and why not.
SELECT item_idx, visual, "text", audio, visual_reason, text_reason, audio_reason FROM modality_availability ORDER BY item_idx;

-- name: vectors
-- {modality} is one of the fixed three; nothing else is ever put in.
SELECT item_idx, vector FROM features_{modality} ORDER BY item_idx;
