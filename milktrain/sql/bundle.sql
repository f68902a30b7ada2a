What training reads from a store.

-- name: split
SELECT split_id, name, setting, seed, parameters, catalogue_fingerprint, availability_fingerprint, fingerprint FROM splits WHERE name = $name;

-- name: split_names
SELECT name FROM splits ORDER BY name;

-- name: catalogue_fingerprint
SELECT catalogue_fingerprint FROM pulls ORDER BY pull_id DESC LIMIT 1;

-- name: counts
SELECT (SELECT count(*) FROM users) AS n_users, (SELECT count(*) FROM items) AS n_items;

-- name: user_keys
SELECT user_key FROM users ORDER BY user_idx;

-- name: item_keys
SELECT item_key FROM items ORDER BY item_idx;

-- name: parts
SELECT item_idx, part FROM split_items WHERE split_id = $split_id ORDER BY item_idx;

-- name: interactions
-- The interactions of one part, in a stable order.
SELECT n.user_idx, n.item_idx FROM interactions AS n JOIN split_items AS s USING (item_idx)
WHERE s.split_id = $split_id AND s.part = $part ORDER BY n.user_idx, n.item_idx;

-- name: availability
SELECT item_idx, modality, present, lost FROM split_availability WHERE split_id = $split_id ORDER BY modality, item_idx;

-- name: contents
-- Which content each item's vector in a feature set was made of.
SELECT item_idx, position, content_sha256 FROM feature_rows WHERE feature_set_id = $feature_set_id ORDER BY item_idx, position;

-- name: features_visual
SELECT item_idx, vector FROM features_visual;

-- name: features_text
SELECT item_idx, vector FROM features_text;

-- name: features_audio
SELECT item_idx, vector FROM features_audio;
