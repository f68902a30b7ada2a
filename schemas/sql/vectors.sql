Templates for the per-set tables and the views over them. The only placeholders are a width and a set number, both
integers of our own, and a modality out of the fixed three; nothing from outside is ever put here.

-- name: create_table
CREATE TABLE vectors_{feature_set_id} (content_sha256 VARCHAR NOT NULL, vector FLOAT[{width}] NOT NULL);

-- name: drop_table
DROP TABLE vectors_{feature_set_id};

-- name: show
-- An item with one content shows that content's vector; with several, their mean: the stored one where it is of exactly these contents,
-- else, for sets that are being filled, the mean as of now.
CREATE OR REPLACE VIEW features_{modality} AS
WITH counted AS (
    SELECT item_idx, count(*) AS n, min(content_sha256) AS content_sha256 FROM feature_rows
    WHERE feature_set_id = {feature_set_id} GROUP BY item_idx
), stored AS (
    SELECT m.item_idx FROM item_means AS m JOIN feature_rows AS r USING (feature_set_id, item_idx)
    WHERE m.feature_set_id = {feature_set_id} AND len(m.vector) = {width}
    GROUP BY m.item_idx, m.n, m.contents HAVING count(*) = m.n AND sum(md5_number_lower(r.content_sha256)) = m.contents
), several AS (
    SELECT r.item_idx, d.axis, avg(v.vector[d.axis]) AS mean
    FROM feature_rows AS r JOIN (SELECT item_idx FROM counted ANTI JOIN stored USING (item_idx) WHERE n > 1) AS c USING (item_idx)
    JOIN vectors_{feature_set_id} AS v ON v.content_sha256 = r.content_sha256
    CROSS JOIN range(1, {width} + 1) AS d (axis)
    WHERE r.feature_set_id = {feature_set_id} GROUP BY r.item_idx, d.axis
)
SELECT i.item_idx, i.item_key, v.vector
FROM counted AS c JOIN vectors_{feature_set_id} AS v USING (content_sha256) JOIN items AS i USING (item_idx) WHERE c.n = 1
UNION ALL
SELECT i.item_idx, i.item_key, m.vector::FLOAT[{width}]
FROM item_means AS m JOIN stored USING (item_idx) JOIN items AS i USING (item_idx) WHERE m.feature_set_id = {feature_set_id}
UNION ALL
SELECT i.item_idx, i.item_key, s.vector
FROM (SELECT item_idx, list(mean ORDER BY axis)::FLOAT[{width}] AS vector FROM several GROUP BY item_idx) AS s JOIN items AS i USING (item_idx);

-- name: show_nothing
CREATE OR REPLACE VIEW features_{modality} AS
SELECT item_idx, item_key, NULL::FLOAT[1] AS vector FROM items WHERE false;
