-- A stored mean is of exactly the contents that its item has in that feature set, of the set's width, and the only one.
WITH pointed AS (
    SELECT feature_set_id, item_idx, count(*) AS n, sum(md5_number_lower(content_sha256)) AS contents
    FROM feature_rows SEMI JOIN item_means USING (feature_set_id, item_idx) GROUP BY feature_set_id, item_idx
), means AS (
    SELECT feature_set_id, item_idx, n, contents, len(vector) AS width, count(*) OVER (PARTITION BY feature_set_id, item_idx) AS means FROM item_means
)
SELECT m.feature_set_id, m.item_idx, m.n AS averaged, p.n AS contents, m.width, m.means FROM means AS m
LEFT JOIN pointed AS p USING (feature_set_id, item_idx) LEFT JOIN feature_sets AS s USING (feature_set_id)
WHERE p.n IS DISTINCT FROM m.n OR p.contents IS DISTINCT FROM m.contents OR s.width IS DISTINCT FROM m.width OR m.means > 1 OR m.n < 2;
