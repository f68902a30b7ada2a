Extraction: what is to be embedded, page by page, and what became of it. {pending} stands for one of the two statements that
follow, both of the items $first to $last; {files} in two of these for a third; {vectors} for the name of a feature set's own table; nothing
else is ever put in.

-- name: pending_text
-- Items whose composed text this feature set has not embedded yet. A text that already failed it is tried again on $retry.
-- Word ids come by id, each as often as it was counted, up to 100 times.
SELECT item_idx, 0 AS position, left(content, 200) AS location, sha256(content) AS content_sha256, content
FROM (
    SELECT item_idx, nullif(array_to_string(list_filter([
        CASE WHEN list_contains($fields, 'title') THEN title END,
        CASE WHEN list_contains($fields, 'description') THEN description END,
        CASE WHEN list_contains($fields, 'brand') THEN brand END,
        CASE WHEN list_contains($fields, 'categories') THEN array_to_string(categories, ', ') END,
        CASE WHEN list_contains($fields, 'words') THEN words END
    ], lambda part: regexp_matches(part, '\S')), chr(10)), '') AS content
    FROM (SELECT * FROM items WHERE item_idx BETWEEN $first AND $last) AS of_page
    LEFT JOIN (SELECT item_idx, string_agg(rtrim(repeat(word || ' ', least("count", 100))), ' ' ORDER BY word) AS words FROM title_words
               WHERE list_contains($fields, 'words') AND item_idx BETWEEN $first AND $last GROUP BY item_idx) AS counted USING (item_idx)
) AS composed
ANTI JOIN (SELECT item_idx, content_sha256 FROM feature_rows
           WHERE feature_set_id = $feature_set_id AND item_idx BETWEEN $first AND $last) AS done
    ON done.item_idx = composed.item_idx AND done.content_sha256 = sha256(composed.content)
ANTI JOIN (SELECT item_idx, content_sha256 FROM feature_failures
           WHERE feature_set_id = $feature_set_id AND NOT $retry AND item_idx BETWEEN $first AND $last) AS failed
    ON failed.item_idx = composed.item_idx AND failed.content_sha256 = sha256(composed.content)
WHERE content IS NOT NULL

-- name: files
-- Files of one modality, local or fetched; whether this feature set has embedded each, or failed to: neither is so any more where a file is
-- pending again or its content is known to be another. One that turned out to lack the modality still counts where it did so for this set.
-- Vectors that came ready-made have no file behind them, nor have the broken rows of the file they came in: their assets are located in
-- what an import names as its weights.
SELECT a.item_idx, a.position, coalesce(d.file, a.location) AS location, a.content_sha256, NULL::VARCHAR AS content,
    done.item_idx IS NOT NULL AS is_done, failed.item_idx IS NOT NULL AS has_failed, a.status
FROM assets AS a
LEFT JOIN (SELECT address, modality, file FROM downloads WHERE status = 'ok') AS d ON d.address = a.location AND d.modality = a.modality
LEFT JOIN (SELECT item_idx, position, content_sha256 FROM feature_rows
           WHERE feature_set_id = $feature_set_id AND item_idx BETWEEN $first AND $last) AS done
    ON done.item_idx = a.item_idx AND done.position = a.position AND a.status = 'ok' AND done.content_sha256 = a.content_sha256
ANTI JOIN (SELECT r.item_idx, r.position, s.modality FROM feature_rows AS r JOIN feature_sets AS s USING (feature_set_id)
           WHERE s.encoder = 'imported' AND r.item_idx BETWEEN $first AND $last) AS imported
    ON imported.item_idx = a.item_idx AND imported.position = a.position AND imported.modality = a.modality
ANTI JOIN (SELECT modality, weights FROM feature_sets WHERE encoder = 'imported') AS of_import
    ON of_import.modality = a.modality AND of_import.weights = a.location
LEFT JOIN (SELECT item_idx, position, content_sha256 FROM feature_failures
           WHERE feature_set_id = $feature_set_id AND item_idx BETWEEN $first AND $last) AS failed
    ON failed.item_idx = a.item_idx AND failed.position = a.position AND a.status <> 'pending'
    AND failed.content_sha256 IS NOT DISTINCT FROM a.content_sha256
WHERE a.modality = $modality AND a.item_idx BETWEEN $first AND $last AND (d.file IS NOT NULL OR NOT contains(a.location, '://'))
  AND (a.status IN ('pending', 'ok', 'decode_error', 'too_short', 'silent') OR a.status = 'absent' AND failed.item_idx IS NOT NULL)

-- name: pending_files
-- Files that this feature set has not embedded yet. Those that already failed it are tried again on $retry.
SELECT item_idx, position, location, content_sha256, content FROM ({files})
WHERE NOT is_done AND (NOT has_failed OR $retry) AND status <> 'absent'

-- name: pending_first
-- Of each item the first file that none stands before but those that failed, where it is not embedded yet. $n_passes files of each item are
-- passed by: a run goes through all items as often as it has to, and tries the n-th file of an item in the n-th pass at the earliest.
SELECT item_idx, position, location, content_sha256, content FROM (
    SELECT *, row_number() OVER of_item AS place, coalesce(bool_and(has_failed) OVER (of_item ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), true) AS is_next
    FROM ({files}) WINDOW of_item AS (PARTITION BY item_idx ORDER BY position)
) WHERE is_next AND NOT is_done AND (NOT has_failed OR $retry) AND place > $n_passes
QUALIFY row_number() OVER (PARTITION BY item_idx ORDER BY place) = 1

-- name: has_pending
SELECT count(*) > 0 AS found FROM (SELECT 1 FROM ({pending}) LIMIT 1);

-- name: pending_pages
-- Pages are fixed ranges of item_idx, so that a resumed run makes the same batches.
SELECT item_idx // $page_items AS page, count(*) AS pending FROM ({pending}) GROUP BY page ORDER BY page;

-- name: page
SELECT item_idx, position, location, content_sha256, content FROM ({pending}) ORDER BY item_idx, position;

-- name: embedded
-- Which of these contents have a vector.
SELECT content_sha256 FROM {vectors} SEMI JOIN asked USING (content_sha256);

-- name: state
SELECT finished_at IS NOT NULL AS finished, is_current FROM feature_sets WHERE feature_set_id = $feature_set_id;

-- name: drop_replaced_rows
-- Rows of this set about to be written anew, because their content changed, or to go, because it cannot be read any more.
DELETE FROM feature_rows WHERE feature_set_id = $feature_set_id AND (
    EXISTS (SELECT 1 FROM tried WHERE tried.item_idx = feature_rows.item_idx AND tried.position = feature_rows.position)
    OR EXISTS (SELECT 1 FROM refused WHERE refused.item_idx = feature_rows.item_idx AND refused.position = feature_rows.position));

-- name: drop_other_rows
-- Where one file stands for an item, the one that did so before goes.
DELETE FROM feature_rows WHERE feature_set_id = $feature_set_id AND EXISTS (SELECT 1 FROM accepted WHERE accepted.item_idx = feature_rows.item_idx);

-- name: drop_replaced_failures
-- Failures of this set about to be written anew, or overcome.
DELETE FROM feature_failures WHERE feature_set_id = $feature_set_id AND (
    EXISTS (SELECT 1 FROM tried WHERE tried.item_idx = feature_failures.item_idx AND tried.position = feature_failures.position)
    OR EXISTS (SELECT 1 FROM refused WHERE refused.item_idx = feature_failures.item_idx AND refused.position = feature_failures.position));

-- name: add_failures
-- A file that could not be read keeps the digest it had, so that it counts as tried until its content is known to be another.
INSERT INTO feature_failures
SELECT $feature_set_id, refused.item_idx, refused.position,
    CASE WHEN $modality = 'text' THEN refused.content_sha256 ELSE coalesce(refused.content_sha256, a.content_sha256) END,
    refused.status, refused.reason
FROM refused LEFT JOIN assets AS a ON a.modality = $modality AND a.item_idx = refused.item_idx AND a.position = refused.position;

-- name: failures_of_contents
-- Why these contents failed this set, for other items that have them.
SELECT content_sha256, any_value(status) AS status, any_value(reason) AS reason
FROM feature_failures SEMI JOIN asked USING (content_sha256) WHERE feature_set_id = $feature_set_id GROUP BY content_sha256;

-- name: accept_files
UPDATE assets SET status = 'ok', reason = NULL, content_sha256 = accepted.content_sha256 FROM accepted
WHERE assets.modality = $modality AND assets.item_idx = accepted.item_idx AND assets.position = accepted.position;

-- name: accept_texts
-- The assets of a text are columns of items; one that another encoder failed on is ok again.
UPDATE assets SET status = 'ok', reason = NULL FROM accepted
WHERE assets.modality = $modality AND assets.item_idx = accepted.item_idx AND assets.status = 'decode_error';

-- name: add_text_assets
-- Where an item's text comes from columns that the source made no asset of.
INSERT INTO assets
SELECT c.item_idx, $modality, coalesce(max(a.position) + 1, 0), $location, any_value(c.content_sha256), 'ok', NULL
FROM accepted AS c LEFT JOIN assets AS a ON a.item_idx = c.item_idx AND a.modality = $modality
GROUP BY c.item_idx HAVING NOT coalesce(bool_or(a.status = 'ok'), false);

-- name: refuse_files
-- An asset that another encoder could use stays ok and states no reason: what this one found is in feature_failures.
UPDATE assets SET content_sha256 = coalesce(refused.content_sha256, assets.content_sha256),
    status = CASE WHEN other.item_idx IS NULL THEN refused.status ELSE 'ok' END,
    reason = CASE WHEN other.item_idx IS NULL THEN refused.reason END
FROM refused LEFT JOIN (SELECT DISTINCT r.item_idx, r.position FROM feature_rows AS r JOIN feature_sets AS s USING (feature_set_id)
                        WHERE s.modality = $modality) AS other
    ON other.item_idx = refused.item_idx AND other.position = refused.position
WHERE assets.modality = $modality AND assets.item_idx = refused.item_idx AND assets.position = refused.position;

-- name: refuse_texts
-- As for files: of an item that another encoder could use nothing is said here.
UPDATE assets SET status = refused.status, reason = refused.reason
FROM refused ANTI JOIN (SELECT DISTINCT r.item_idx FROM feature_rows AS r JOIN feature_sets AS s USING (feature_set_id)
                        WHERE s.modality = $modality) AS other
    ON other.item_idx = refused.item_idx
WHERE assets.modality = $modality AND assets.item_idx = refused.item_idx AND assets.status IN ('ok', 'decode_error');

-- name: add_rejects
-- Once each, however often the content is tried. A file without a sound track lacks something; nothing was refused.
INSERT INTO rejects
SELECT DISTINCT $modality, NULL::BIGINT, 'decode_error', refused.reason, refused.location FROM refused
WHERE refused.status <> 'absent' AND NOT EXISTS (SELECT 1 FROM rejects AS r WHERE r.source = $modality AND r.line IS NULL AND r.detail = refused.reason
                  AND r.text_start IS NOT DISTINCT FROM refused.location);

-- name: add_seconds
UPDATE feature_sets SET seconds = seconds + $seconds WHERE feature_set_id = $feature_set_id;

-- name: counts
-- A set that is not finished has its failures, but not their number yet.
SELECT (SELECT count(DISTINCT item_idx) FROM feature_rows WHERE feature_set_id = $feature_set_id) AS n_items,
       (SELECT count(DISTINCT content_sha256) FROM feature_rows WHERE feature_set_id = $feature_set_id) AS n_contents,
       (SELECT count(*) FROM items) AS n_all,
       (SELECT CASE WHEN finished_at IS NOT NULL THEN n_failed ELSE
            (SELECT count(*) FROM feature_failures WHERE feature_set_id = $feature_set_id AND status <> 'absent') END
        FROM feature_sets WHERE feature_set_id = $feature_set_id) AS n_failed;

-- name: n_failed
-- Assets this set could not use; that a file has no sound track is no failure.
SELECT count(*) AS n_failed FROM feature_failures WHERE feature_set_id = $feature_set_id AND status <> 'absent';

-- name: failure_reasons
-- Why this set could not use them, most frequent first.
SELECT reason, count(DISTINCT item_idx) AS items FROM feature_failures WHERE feature_set_id = $feature_set_id
GROUP BY reason ORDER BY items DESC, reason;

-- name: reasons
-- Why items have no vector of the modality, most frequent first.
SELECT reason, count(*) AS items FROM (
    SELECT CASE $modality WHEN 'visual' THEN visual_reason WHEN 'text' THEN text_reason ELSE audio_reason END AS reason
    FROM modality_availability
) WHERE reason IS NOT NULL GROUP BY reason ORDER BY items DESC, reason;
