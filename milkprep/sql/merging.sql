Bringing shards into the store: what there is to compare them with. {vectors} stands for the name of a feature set's own table.

-- name: catalogue
-- What the store holds was pulled when, if at all, and how many items it has.
SELECT (SELECT catalogue_fingerprint FROM pulls ORDER BY pull_id DESC LIMIT 1) AS fingerprint, (SELECT count(*) FROM items) AS items;

-- name: files_of_items
-- Every file of a modality that some items have, as an extraction locates it.
SELECT a.item_idx, a.position, coalesce(d.file, a.location) AS location
FROM assets AS a
LEFT JOIN (SELECT address, modality, file FROM downloads WHERE status = 'ok') AS d ON d.address = a.location AND d.modality = a.modality
WHERE a.modality = $modality AND a.item_idx BETWEEN $first AND $last;

-- name: not_merged
-- Rows of a page that the set lacks. A failure that was recorded, or overcome, since is none; nor is a vector that failed elsewhere.
SELECT brought.item_idx, brought.position FROM brought
ANTI JOIN (SELECT item_idx, position, content_sha256 FROM feature_rows
           WHERE feature_set_id = $feature_set_id AND item_idx BETWEEN $first AND $last) AS done
    ON done.item_idx = brought.item_idx AND done.position = brought.position
    AND (brought.status IS NOT NULL OR done.content_sha256 = brought.content_sha256)
ANTI JOIN (SELECT item_idx, position, content_sha256, reason FROM feature_failures
           WHERE feature_set_id = $feature_set_id AND item_idx BETWEEN $first AND $last) AS failed
    ON failed.item_idx = brought.item_idx AND failed.position = brought.position
    AND (failed.reason = brought.reason OR NOT brought.has_vector AND brought.status IS NULL AND failed.content_sha256 = brought.content_sha256);

-- name: without_vector
-- Items that point at a content nobody embedded.
SELECT count(DISTINCT item_idx) AS items FROM feature_rows ANTI JOIN {vectors} AS v USING (content_sha256) WHERE feature_set_id = $feature_set_id;
