How much of each modality there is, what is missing, and why.

-- name: split
SELECT split_id, setting, availability_fingerprint FROM splits WHERE name = $name;

-- name: split_names
SELECT name FROM splits ORDER BY name;

-- name: parts
-- Items of each part of a split by modality: how many have it by nature, how many of these lose it, how many are left with it.
SELECT s.part, a.modality, count(*) AS items, count(*) FILTER (WHERE a.present) AS present, count(*) FILTER (WHERE a.present AND a.lost) AS lost,
    count(*) FILTER (WHERE a.present AND NOT a.lost) AS "left"
FROM split_items AS s JOIN split_availability AS a USING (split_id, item_idx) WHERE s.split_id = $split_id
GROUP BY s.part, a.modality
ORDER BY CASE s.part WHEN 'train' THEN 0 WHEN 'val' THEN 1 ELSE 2 END, CASE a.modality WHEN 'visual' THEN 0 WHEN 'text' THEN 1 ELSE 2 END;
