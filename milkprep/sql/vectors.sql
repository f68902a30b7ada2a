Ready-made vectors that name their item: which row is taken for which item, and why the others are not. Temporary tables of one
import; {vectors} stands for the name of the feature set's own table, and nothing else is ever put in.

-- name: create
CREATE OR REPLACE TEMP TABLE taken_vectors (item_idx INTEGER NOT NULL, line BIGINT NOT NULL, content_sha256 VARCHAR NOT NULL);
CREATE OR REPLACE TEMP TABLE refused_vectors (item_idx INTEGER NOT NULL, line BIGINT NOT NULL, status VARCHAR NOT NULL, words VARCHAR NOT NULL);

-- name: judge
-- A verdict on each row of a batch; none means it is the first that can be used of an item that is kept. What names no item is malformed.
CREATE OR REPLACE TEMP TABLE judged_vectors AS
SELECT b.*, k.item_idx, t.line AS taken_line,
    min(b.line) FILTER (WHERE b.reason IS NULL) OVER (PARTITION BY k.item_idx) AS first_line,
    CASE WHEN k.item_idx IS NULL AND b.reason IS DISTINCT FROM $malformed THEN $without_item
         WHEN b.reason IS NOT NULL THEN b.reason
         WHEN t.line IS NOT NULL OR b.line > first_line THEN $duplicate_item END AS verdict
FROM incoming_vectors AS b LEFT JOIN kept_items AS k USING (item_key) LEFT JOIN taken_vectors AS t USING (item_idx);

-- name: take
INSERT INTO taken_vectors SELECT item_idx, line, content_sha256 FROM judged_vectors WHERE verdict IS NULL;

-- name: refuse
INSERT INTO refused_vectors SELECT item_idx, line, status, words FROM judged_vectors WHERE item_idx IS NOT NULL AND reason IS NOT NULL;

-- name: reject
INSERT INTO staged_rejects
SELECT $source, line, verdict,
    CASE WHEN verdict = $malformed THEN words
         WHEN item_idx IS NULL THEN 'item ' || item_key || ' is not taken'
         WHEN reason IS NOT NULL THEN 'the row of item ' || item_key || ' ' || words
         ELSE 'item ' || item_key || ' has the row of line ' || coalesce(taken_line, first_line) END, NULL
FROM judged_vectors WHERE verdict IS NOT NULL;

-- name: new_contents
-- Contents that the feature set does not hold yet, and the row of the batch that has each.
SELECT min(place) AS place, content_sha256 FROM judged_vectors ANTI JOIN {vectors} USING (content_sha256)
WHERE verdict IS NULL GROUP BY content_sha256 ORDER BY place;

-- name: count_held
SELECT count(*) AS n FROM {vectors};

-- name: forget_contents
-- What only items of an earlier catalogue needed.
DELETE FROM {vectors} WHERE content_sha256 NOT IN (SELECT content_sha256 FROM taken_vectors);

-- name: forget_rows
-- What an earlier catalogue pointed at this set.
DELETE FROM feature_rows WHERE feature_set_id = $feature_set_id;

-- name: find_assets
-- One asset an item, after those it has of the modality already.
CREATE OR REPLACE TEMP TABLE vector_assets AS
WITH refused AS (
    SELECT item_idx, arg_min(status, line) AS status, arg_min(words, line) AS words FROM refused_vectors GROUP BY item_idx
), occupied AS (
    SELECT item_idx, max(position) + 1 AS position FROM assets WHERE modality = $modality GROUP BY item_idx
)
SELECT k.item_idx, coalesce(o.position, 0) AS position, t.content_sha256,
    CASE WHEN t.item_idx IS NOT NULL THEN 'ok' ELSE coalesce(r.status, 'absent') END AS status,
    CASE WHEN t.item_idx IS NOT NULL THEN NULL ELSE coalesce('its row in ' || $source || ' ' || r.words, $absent) END AS reason
FROM kept_items AS k LEFT JOIN taken_vectors AS t USING (item_idx) LEFT JOIN refused AS r USING (item_idx) LEFT JOIN occupied AS o USING (item_idx);

-- name: write_assets
INSERT INTO assets
SELECT item_idx, $modality, position, $location, content_sha256, status, reason FROM vector_assets ORDER BY item_idx;

-- name: write_rows
INSERT INTO feature_rows
SELECT $feature_set_id, item_idx, position, content_sha256 FROM vector_assets WHERE status = 'ok' ORDER BY item_idx;

-- name: counts
SELECT (SELECT count(*) FROM taken_vectors) AS n_taken, (SELECT count(DISTINCT item_idx) FROM refused_vectors ANTI JOIN taken_vectors USING (item_idx)) AS n_failed;

-- name: forget
DROP TABLE taken_vectors; DROP TABLE refused_vectors; DROP TABLE vector_assets; DROP TABLE IF EXISTS judged_vectors;

-- name: keys_in_order
-- Keys of items that are numbered without gaps, a page at a time.
SELECT item_key FROM kept_items WHERE item_idx >= $first AND item_idx < $first + $n ORDER BY item_idx;
