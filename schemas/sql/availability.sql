The availability matrix as data.

-- name: matrix
SELECT item_idx, visual, "text", audio FROM modality_availability ORDER BY item_idx;

-- name: splits
SELECT name, availability_fingerprint FROM splits ORDER BY name;
