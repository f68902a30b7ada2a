A prepared dataset: ids are given, so items keep the numbers they came with.

-- name: create
CREATE OR REPLACE TEMP TABLE item_ids (line BIGINT NOT NULL, item_number INTEGER NOT NULL);
CREATE OR REPLACE TEMP TABLE pair_places (line BIGINT NOT NULL, source VARCHAR NOT NULL, place BIGINT NOT NULL);
CREATE OR REPLACE TEMP TABLE user_keys (user_number INTEGER NOT NULL, user_key VARCHAR NOT NULL);
CREATE OR REPLACE TEMP TABLE item_keys (item_number INTEGER NOT NULL, item_key VARCHAR NOT NULL);

-- name: largest_item
-- -1 where no pair is left.
SELECT coalesce(max(item_number), -1) AS item_number FROM pairs;

-- name: first_unused_id
-- The smallest id that no interaction names although a larger one occurs. Costs what the ids that occur cost, however large they are.
WITH steps AS (
    SELECT item_number AS id, lead(item_number) OVER (ORDER BY item_number) AS next_id
    FROM (SELECT DISTINCT item_number FROM pairs UNION SELECT -1)
)
SELECT min(id) + 1 AS id FROM steps WHERE next_id > id + 1;

-- name: repeated_id
SELECT item_number AS value, min(line) AS first_line, max(line) AS last_line FROM item_ids GROUP BY item_number HAVING count(*) > 1 ORDER BY 1 LIMIT 1;

-- name: repeated_key
SELECT item_key AS value, min(line) AS first_line, max(line) AS last_line FROM staged_items GROUP BY item_key HAVING count(*) > 1 ORDER BY 1 LIMIT 1;

-- name: described
SELECT count(*) AS n FROM item_ids;

-- name: first_undescribed
SELECT min(r.id) AS id FROM range($n_items) AS r (id) ANTI JOIN item_ids AS i ON i.item_number = r.id;

-- name: name_users
-- By their own keys where there are such, else by their ids.
INSERT INTO user_numbers
SELECT user_number, coalesce(user_key, user_number::VARCHAR) FROM (SELECT DISTINCT user_number FROM pairs) LEFT JOIN user_keys USING (user_number);

-- name: user_without_key
SELECT min(user_number) AS id FROM pairs ANTI JOIN user_keys USING (user_number);

-- name: name_items_by_map
INSERT INTO item_numbers SELECT item_number, item_key FROM item_keys;

-- name: place_rejects
-- Rejects of pairs that came from several files name the file and the place in it.
UPDATE staged_rejects SET source = p.source, line = p.place FROM pair_places AS p
WHERE staged_rejects.source = $source AND staged_rejects.line = p.line;

-- name: name_items_by_id
INSERT INTO item_numbers SELECT id, id::VARCHAR FROM range($n_items) AS r (id);

-- name: name_items_by_key
INSERT INTO item_numbers SELECT item_number, item_key FROM item_ids JOIN staged_items USING (line);

-- name: keep_all_items
INSERT INTO kept_items SELECT n.item_number, n.item_key, s.line FROM item_numbers AS n LEFT JOIN staged_items AS s USING (item_key);

-- name: pairs_by_file
SELECT item_number, source, count(*) AS n FROM pairs JOIN pair_places USING (line) GROUP BY ALL ORDER BY ALL;

-- name: natural_availability
-- Which items with interactions have a vector, a row a modality that has any.
SELECT i.item_idx, s.modality, r.item_idx IS NOT NULL AS present
FROM (SELECT DISTINCT item_idx FROM interactions) AS i CROSS JOIN (SELECT feature_set_id, modality FROM feature_sets WHERE is_current) AS s
LEFT JOIN (SELECT DISTINCT feature_set_id, item_idx FROM feature_rows) AS r ON r.feature_set_id = s.feature_set_id AND r.item_idx = i.item_idx
ORDER BY s.modality, i.item_idx;

-- name: mapped_items
SELECT count(*) AS n_items, coalesce(max(item_number), -1) AS largest FROM item_keys;
