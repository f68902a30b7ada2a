What a page about runs says of the dataset they were trained on.

-- name: counts
SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM items) AS items, (SELECT count(*) FROM interactions) AS interactions;

-- name: pulls
SELECT source, catalogue_fingerprint, toolkit_version, strftime(pulled_at, '%Y-%m-%d %H:%M') AS pulled_at FROM pulls ORDER BY pull_id;

-- name: rejects
-- What was refused or dropped.
SELECT source, reason, count(*) AS lines FROM rejects GROUP BY source, reason ORDER BY lines DESC, source, reason;

-- name: splits
-- Fingerprints of the splits by name.
SELECT name, fingerprint FROM splits ORDER BY name;

-- name: parts
-- What the parts of some splits hold.
SELECT p.name AS split, s.part, count(DISTINCT s.item_idx) AS items, count(DISTINCT n.user_idx) AS users, count(n.user_idx) AS interactions
FROM splits AS p JOIN split_items AS s USING (split_id) LEFT JOIN interactions AS n USING (item_idx) WHERE list_contains($names, p.name)
GROUP BY p.name, s.part ORDER BY p.name, CASE s.part WHEN 'train' THEN 0 WHEN 'val' THEN 1 ELSE 2 END;

-- name: losses
-- Items of each part by modality: how many have it by nature, how many of these lose it, how many are left with it.
SELECT p.name AS split, p.setting, s.part, a.modality, count(*) AS items, count(*) FILTER (WHERE a.present) AS present,
    count(*) FILTER (WHERE a.present AND a.lost) AS lost, count(*) FILTER (WHERE a.present AND NOT a.lost) AS "left"
FROM splits AS p JOIN split_items AS s USING (split_id) JOIN split_availability AS a USING (split_id, item_idx) WHERE list_contains($names, p.name)
GROUP BY p.name, p.setting, s.part, a.modality
ORDER BY p.name, CASE s.part WHEN 'train' THEN 0 WHEN 'val' THEN 1 ELSE 2 END, CASE a.modality WHEN 'visual' THEN 0 WHEN 'text' THEN 1 ELSE 2 END;
