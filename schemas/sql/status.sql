What a store holds, for people.

-- name: counts
SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM items) AS items, (SELECT count(*) FROM interactions) AS interactions,
       (SELECT count(*) FROM rejects) AS rejects;

-- name: pulls
SELECT source, pulled_at, left(fingerprint, 12) AS fingerprint FROM pulls ORDER BY pull_id;

-- name: feature_sets
SELECT modality, encoder, weights, width, n_items AS items, n_contents AS contents, n_failed AS failed, is_current AS current,
       finished_at IS NOT NULL AS finished FROM feature_sets ORDER BY modality, feature_set_id;

-- name: availability
-- How many items have each combination of modalities.
SELECT visual, "text", audio, count(*) AS items FROM modality_availability GROUP BY visual, "text", audio ORDER BY items DESC;

-- name: rejects
SELECT source, reason, count(*) AS "rows" FROM rejects GROUP BY source, reason ORDER BY source, reason;

-- name: splits
SELECT name, setting, seed, left(fingerprint, 12) AS fingerprint FROM splits ORDER BY name;
