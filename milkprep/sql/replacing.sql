One catalogue takes the place of another in the same store. Vectors hang on content, so those of content that is still there stay.
{pending} stands for the statement of extract.sql that composes texts, {vectors} for the name of a feature set's own table.

-- name: forget_catalogue
DELETE FROM interactions; DELETE FROM users; DELETE FROM items; DELETE FROM assets; DELETE FROM rejects; DELETE FROM title_words;
DELETE FROM faces; DELETE FROM pulls; DELETE FROM feature_rows; DELETE FROM item_means; DELETE FROM feature_failures;
DELETE FROM split_items; DELETE FROM split_availability; DELETE FROM splits;

-- name: splits
SELECT name FROM splits ORDER BY split_id;

-- name: feature_sets
-- Sets that an extraction made, finished or not; those of ready-made vectors come anew with the pull.
SELECT feature_set_id, modality, encoder, parameters, n_contents FROM feature_sets
WHERE NOT list_contains($made_by_pull, encoder) ORDER BY feature_set_id;

-- name: apply_downloads
-- Addresses that were tried before need not be tried again.
UPDATE assets SET status = d.status, reason = d.reason, content_sha256 = d.content_sha256
FROM downloads AS d WHERE d.address = assets.location AND d.modality = assets.modality AND assets.status = 'not_fetched';

-- name: restore_texts
INSERT INTO feature_rows
SELECT $feature_set_id, item_idx, position, content_sha256 FROM ({pending}) SEMI JOIN {vectors} USING (content_sha256);

-- name: restore_files
INSERT INTO feature_rows
SELECT $feature_set_id, item_idx, position, content_sha256 FROM assets SEMI JOIN {vectors} USING (content_sha256)
WHERE modality = $modality AND status IN ('ok', 'pending') ORDER BY item_idx, position;

-- name: restore_first
-- One file an item, where one stands for all; whether one before it is usable is for the next extraction to find out.
INSERT INTO feature_rows
SELECT $feature_set_id, item_idx, position, content_sha256 FROM assets SEMI JOIN {vectors} USING (content_sha256)
WHERE modality = $modality AND status IN ('ok', 'pending') QUALIFY row_number() OVER (PARTITION BY item_idx ORDER BY position) = 1
ORDER BY item_idx, position;

-- name: rows_of
SELECT item_idx, position, content_sha256 FROM feature_rows WHERE feature_set_id = $feature_set_id ORDER BY item_idx, position;

-- name: forget_vectors
DELETE FROM {vectors} WHERE content_sha256 NOT IN (SELECT content_sha256 FROM feature_rows WHERE feature_set_id = $feature_set_id);

-- name: count_again
UPDATE feature_sets SET n_failed = 0,
    n_contents = (SELECT count(DISTINCT content_sha256) FROM feature_rows WHERE feature_set_id = $feature_set_id),
    n_items = (SELECT count(DISTINCT item_idx) FROM feature_rows WHERE feature_set_id = $feature_set_id)
WHERE feature_set_id = $feature_set_id;

-- name: empty_sets
SELECT feature_set_id FROM feature_sets ANTI JOIN feature_rows USING (feature_set_id) ORDER BY feature_set_id;

-- name: drop_set
DELETE FROM feature_sets WHERE feature_set_id = $feature_set_id;

-- name: drop_vectors
DROP TABLE {vectors};

-- name: modalities_without_current
-- The set to show of a modality that shows none any more: the one finished last; NULL where there is none.
SELECT m.modality, arg_max(s.feature_set_id, s.finished_at) FILTER (WHERE s.finished_at IS NOT NULL) AS feature_set_id
FROM (VALUES ('visual'), ('text'), ('audio')) AS m (modality) LEFT JOIN feature_sets AS s USING (modality)
GROUP BY m.modality HAVING NOT coalesce(bool_or(s.is_current), false) ORDER BY m.modality;

-- name: tables_without_set
SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND NOT temporary AND regexp_full_match(table_name, 'vectors_[0-9]+')
  AND table_name NOT IN (SELECT 'vectors_' || feature_set_id FROM feature_sets) ORDER BY table_name;
