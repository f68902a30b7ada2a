Splits: reading what they are drawn from, writing them, describing them.

-- name: catalogue_fingerprint
SELECT catalogue_fingerprint FROM pulls ORDER BY pull_id DESC LIMIT 1;

-- name: items_with_interactions
-- New-item evaluation needs items somebody touched; the others are outside every split. Newness is the rank by first interaction;
-- of items first touched at the same time, the one with the later key is the newer.
SELECT item_idx, count(*) AS n, count(*) - count("timestamp") AS n_untimed, row_number() OVER (ORDER BY min("timestamp"), min(item_key)) AS newness
FROM interactions JOIN items USING (item_idx) GROUP BY item_idx ORDER BY item_idx;

-- name: item_keys
SELECT item_idx, item_key FROM items ORDER BY item_idx;

-- name: find
SELECT split_id, fingerprint FROM splits WHERE name = $name;

-- name: next_id
SELECT coalesce(max(split_id), 0) + 1 AS id FROM splits;

-- name: register
INSERT INTO splits VALUES ($split_id, $name, $setting, $seed, $parameters, $catalogue_fingerprint, $availability_fingerprint, $fingerprint,
    make_timestamp(epoch_us(now())));

-- name: forget
DELETE FROM splits WHERE split_id = $split_id;

-- name: forget_items
DELETE FROM split_items WHERE split_id = $split_id;

-- name: forget_availability
DELETE FROM split_availability WHERE split_id = $split_id;

-- name: statistics
-- Like the paper's Table 1: what each part holds, and the share of its items that lacks each modality, by nature and after the loss.
WITH counts AS (
    SELECT s.part, count(DISTINCT n.user_idx) AS users, count(DISTINCT s.item_idx) AS items, count(n.user_idx) AS interactions
    FROM split_items AS s LEFT JOIN interactions AS n USING (item_idx) WHERE s.split_id = $split_id GROUP BY s.part
), missing AS (
    SELECT s.part, a.modality, avg((NOT a.present)::INT) * 100 AS by_nature, avg((a.lost OR NOT a.present)::INT) * 100 AS in_all
    FROM split_items AS s JOIN split_availability AS a USING (split_id, item_idx) WHERE s.split_id = $split_id GROUP BY s.part, a.modality
)
SELECT part, users, items, interactions, round(100.0 * interactions / (users * items), 3) AS "density %",
       max(round(by_nature, 1)) FILTER (WHERE modality = 'visual') AS "no visual %", max(round(in_all, 1)) FILTER (WHERE modality = 'visual') AS "visual lost or none %",
       max(round(by_nature, 1)) FILTER (WHERE modality = 'text') AS "no text %", max(round(in_all, 1)) FILTER (WHERE modality = 'text') AS "text lost or none %",
       max(round(by_nature, 1)) FILTER (WHERE modality = 'audio') AS "no audio %", max(round(in_all, 1)) FILTER (WHERE modality = 'audio') AS "audio lost or none %"
FROM counts LEFT JOIN missing USING (part) GROUP BY part, users, items, interactions ORDER BY CASE part WHEN 'train' THEN 0 WHEN 'val' THEN 1 ELSE 2 END;

-- name: losses
-- How many items of each part lose no, one, two ... modalities, and how many of those had every modality that has vectors.
WITH by_item AS (
    SELECT item_idx, part, count(*) FILTER (WHERE lost) AS n_lost, bool_and(present) AS had_all
    FROM split_items JOIN split_availability USING (split_id, item_idx) WHERE split_id = $split_id GROUP BY item_idx, part
)
SELECT part, n_lost::INT AS "modalities lost", count(*) AS items, round(100.0 * count(*) / sum(count(*)) OVER (PARTITION BY part), 2) AS "share %",
       count(*) FILTER (WHERE had_all) AS "had every one"
FROM by_item GROUP BY part, n_lost ORDER BY CASE part WHEN 'train' THEN 0 WHEN 'val' THEN 1 ELSE 2 END, n_lost;
