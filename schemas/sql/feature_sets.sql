Feature sets: finding, registering, filling and showing them.

-- name: find
SELECT feature_set_id, finished_at IS NOT NULL AS finished FROM feature_sets WHERE fingerprint = $fingerprint;

-- name: current
-- The feature set that features_<modality> shows, one row a modality that has one.
SELECT feature_set_id, modality, encoder, weights, weights_sha256, width, pooling, parameters, versions, fingerprint
FROM feature_sets WHERE is_current ORDER BY modality;

-- name: by_id
SELECT feature_set_id, modality, encoder, weights, weights_sha256, width, pooling, parameters, versions, fingerprint
FROM feature_sets WHERE feature_set_id = $feature_set_id;

-- name: latest_of_encoder
-- The feature set of a modality that an encoder finished last.
SELECT feature_set_id, modality, encoder, weights, weights_sha256, width, pooling, parameters, versions, fingerprint
FROM feature_sets WHERE modality = $modality AND encoder = $encoder AND finished_at IS NOT NULL ORDER BY finished_at DESC, feature_set_id DESC LIMIT 1;

-- name: next_id
SELECT coalesce(max(feature_set_id), 0) + 1 AS id FROM feature_sets;

-- name: register
INSERT INTO feature_sets VALUES ($feature_set_id, $modality, $encoder, $weights, $weights_sha256, $width, $pooling, $parameters, $versions,
    $fingerprint, false, 0, 0, 0, 0, make_timestamp(epoch_us(now())), NULL);

-- name: finish
UPDATE feature_sets SET
    n_contents = (SELECT count(DISTINCT content_sha256) FROM feature_rows WHERE feature_set_id = $feature_set_id),
    n_items = (SELECT count(DISTINCT item_idx) FROM feature_rows WHERE feature_set_id = $feature_set_id),
    n_failed = $n_failed, seconds = seconds + $seconds, finished_at = make_timestamp(epoch_us(now()))
WHERE feature_set_id = $feature_set_id;

-- name: make_current
UPDATE feature_sets SET is_current = (feature_set_id = $feature_set_id) WHERE modality = $modality;

-- name: listing
-- Every set, for people.
SELECT feature_set_id AS id, modality, encoder, weights, width, pooling, parameters->>'several' AS several, n_items AS items, n_contents AS contents, n_failed AS failed,
    is_current AS "current", finished_at IS NOT NULL AS finished, round(seconds, 1) AS seconds
FROM feature_sets ORDER BY CASE modality WHEN 'visual' THEN 0 WHEN 'text' THEN 1 ELSE 2 END, feature_set_id;

-- name: latest_of_modality
-- The set of a modality that was finished last.
SELECT feature_set_id FROM feature_sets WHERE modality = $modality AND finished_at IS NOT NULL ORDER BY finished_at DESC, feature_set_id DESC LIMIT 1;

-- name: forget_rows
DELETE FROM feature_rows WHERE feature_set_id = $feature_set_id;

-- name: forget_failures
DELETE FROM feature_failures WHERE feature_set_id = $feature_set_id;

-- name: forget_means
DELETE FROM item_means WHERE feature_set_id = $feature_set_id;

-- name: forget_set
DELETE FROM feature_sets WHERE feature_set_id = $feature_set_id;

-- name: forget_imported_assets
-- Nothing lies where imported vectors lay; no extraction should look for a file there.
UPDATE assets SET status = 'absent', reason = $reason, content_sha256 = NULL
WHERE modality = $modality AND location = $location AND status IN ('ok', 'decode_error')
  AND NOT EXISTS (SELECT 1 FROM feature_sets AS s WHERE s.encoder = 'imported' AND s.modality = $modality AND s.weights = $location);
