Means of items with several contents. {feature_set_id} stands for a set's number, and nothing else is ever put in.

-- name: forget_stale
-- Means of items that point at other contents by now, or at none.
DELETE FROM item_means WHERE feature_set_id = $feature_set_id AND item_idx NOT IN (
    SELECT m.item_idx FROM item_means AS m JOIN feature_rows AS r USING (feature_set_id, item_idx) WHERE m.feature_set_id = $feature_set_id
    GROUP BY m.item_idx, m.n, m.contents HAVING count(*) = m.n AND sum(md5_number_lower(r.content_sha256)) = m.contents);

-- name: forget_of_items
DELETE FROM item_means WHERE feature_set_id = $feature_set_id AND item_idx IN (SELECT item_idx FROM changed_items);

-- name: lacking
-- Items with several contents and no mean, and which contents they are.
SELECT r.item_idx, count(*)::INTEGER AS n, sum(md5_number_lower(r.content_sha256)) AS contents
FROM feature_rows AS r ANTI JOIN (SELECT item_idx FROM item_means WHERE feature_set_id = $feature_set_id) AS m USING (item_idx)
WHERE r.feature_set_id = $feature_set_id GROUP BY r.item_idx HAVING count(*) > 1 ORDER BY r.item_idx;

-- name: vectors_of_items
SELECT v.vector FROM feature_rows AS r JOIN vectors_{feature_set_id} AS v USING (content_sha256) SEMI JOIN averaged USING (item_idx)
WHERE r.feature_set_id = $feature_set_id AND r.item_idx BETWEEN $first AND $last ORDER BY r.item_idx, r.content_sha256;
