A prepared dataset: ids are given, so items keep the numbers they came with.

-- name: create
CREATE OR REPLACE TEMP TABLE item_ids (line BIGINT NOT NULL, item_number INTEGER NOT NULL);

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
INSERT INTO user_numbers SELECT DISTINCT user_number, user_number::VARCHAR FROM pairs;

-- name: name_items_by_id
INSERT INTO item_numbers SELECT id, id::VARCHAR FROM range($n_items) AS r (id);

-- name: name_items_by_key
INSERT INTO item_numbers SELECT item_number, item_key FROM item_ids JOIN staged_items USING (line);

-- name: keep_all_items
INSERT INTO kept_items SELECT n.item_number, n.item_key, s.line FROM item_numbers AS n LEFT JOIN staged_items AS s USING (item_key);
