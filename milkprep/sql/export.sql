What an export reads of a split.

-- name: split
SELECT split_id, name, setting, seed, parameters, catalogue_fingerprint, availability_fingerprint, fingerprint FROM splits WHERE name = $name;

-- name: split_names
SELECT name FROM splits ORDER BY name;

-- name: catalogue_fingerprint
SELECT catalogue_fingerprint FROM pulls ORDER BY pull_id DESC LIMIT 1;

-- name: counts
SELECT (SELECT count(*) FROM users) AS n_users, (SELECT count(*) FROM items) AS n_items;

-- name: items
-- Items of the split, in the order that gives them their numbers.
SELECT s.item_idx, i.item_key, s.part FROM split_items AS s JOIN items AS i USING (item_idx) WHERE s.split_id = $split_id ORDER BY s.item_idx;

-- name: users
-- Users with an interaction in the split, in the order that gives them their numbers.
SELECT user_idx, user_key FROM users
WHERE user_idx IN (SELECT n.user_idx FROM interactions AS n JOIN split_items AS s USING (item_idx) WHERE s.split_id = $split_id) ORDER BY user_idx;

-- name: interactions
-- Of one part, by user and item.
SELECT n.user_idx, n.item_idx FROM interactions AS n JOIN split_items AS s USING (item_idx)
WHERE s.split_id = $split_id AND s.part = $part ORDER BY n.user_idx, n.item_idx;

-- name: availability
SELECT item_idx, present, lost FROM split_availability WHERE split_id = $split_id AND modality = $modality ORDER BY item_idx;

-- name: features_visual
SELECT item_idx, vector FROM features_visual;

-- name: features_text
SELECT item_idx, vector FROM features_text;

-- name: features_audio
SELECT item_idx, vector FROM features_audio;
