Items of a pull: raw rows, the ones that are kept, and what content each of them has. Temporary tables until the end.

-- name: create
CREATE OR REPLACE TEMP TABLE staged_rejects (source VARCHAR NOT NULL, line BIGINT, reason VARCHAR NOT NULL, detail VARCHAR NOT NULL, text_start VARCHAR);
CREATE OR REPLACE TEMP TABLE staged_items (
    line BIGINT NOT NULL, item_key VARCHAR NOT NULL, title VARCHAR, description VARCHAR, brand VARCHAR, categories VARCHAR[] NOT NULL,
    pictures VARCHAR[] NOT NULL,
    title_reason VARCHAR, description_reason VARCHAR, picture_reason VARCHAR,  -- in words, where there is none
    digest BIGINT NOT NULL
);
CREATE OR REPLACE TEMP TABLE staged_media (
    item_key VARCHAR NOT NULL, modality VARCHAR NOT NULL, position INTEGER NOT NULL, location VARCHAR NOT NULL, content_sha256 VARCHAR
);
CREATE OR REPLACE TEMP TABLE kept_items (item_idx INTEGER NOT NULL, item_key VARCHAR NOT NULL, line BIGINT);

-- name: find_repeated_items
CREATE OR REPLACE TEMP TABLE repeated_items AS
WITH crowded AS (
    SELECT item_key FROM staged_items GROUP BY item_key HAVING count(*) > 1
), compared AS (
    SELECT line, item_key, min(line) OVER (PARTITION BY item_key) AS first_line, min(line) OVER (PARTITION BY item_key, digest) AS first_same
    FROM staged_items SEMI JOIN crowded USING (item_key)
)
SELECT line, CASE WHEN line > first_same THEN 'duplicate_line' ELSE 'duplicate_item' END AS reason,
       CASE WHEN line > first_same THEN 'same bytes as line ' || first_same ELSE 'line ' || first_line || ' describes the same item' END AS detail
FROM compared WHERE line > first_line;

-- name: reject_repeated_items
INSERT INTO staged_rejects SELECT $source, line, reason, detail, NULL FROM repeated_items;

-- name: drop_repeated_items
DELETE FROM staged_items WHERE line IN (SELECT line FROM repeated_items);

-- name: keep_items
-- Items with a pair, and on request every item of the metadata; numbered in the order of keys, by bytes.
INSERT INTO kept_items
WITH wanted AS (
    SELECT item_key FROM item_numbers SEMI JOIN pairs USING (item_number)
    UNION SELECT item_key FROM staged_items WHERE $keep_all
)
SELECT row_number() OVER (ORDER BY item_key) - 1, item_key, s.line FROM wanted LEFT JOIN staged_items AS s USING (item_key);

-- name: reject_lonely_items
INSERT INTO staged_rejects
SELECT $source, line, 'no_interactions', 'item ' || item_key || ' is in no interaction that is left', NULL
FROM staged_items ANTI JOIN kept_items USING (item_key);

-- name: count_not_in_metadata
SELECT count(*) AS n FROM kept_items WHERE line IS NULL;

-- name: count_scraped_titles
SELECT count(*) AS n FROM staged_items SEMI JOIN kept_items USING (item_key) WHERE title_reason = $reason;

-- name: count_media_without_item
-- A video is there twice, as what is seen and as what is heard.
SELECT count(DISTINCT location) AS n FROM staged_media ANTI JOIN kept_items USING (item_key);

-- name: write_items
INSERT INTO items
SELECT k.item_idx, k.item_key, s.title, s.description, s.brand, coalesce(s.categories, []), s.line IS NOT NULL
FROM kept_items AS k LEFT JOIN staged_items AS s USING (item_key) ORDER BY k.item_idx;

-- name: write_text_assets
INSERT INTO assets
SELECT k.item_idx, 'text', t.position, t.location,
       CASE WHEN t.content IS NOT NULL THEN sha256(t.content) END,
       CASE WHEN t.content IS NOT NULL THEN 'ok' ELSE 'absent' END,
       CASE WHEN t.content IS NULL THEN coalesce(t.reason, 'not in the metadata') END
FROM kept_items AS k LEFT JOIN staged_items AS s USING (item_key),
LATERAL (VALUES (0, 'items.title', s.title, s.title_reason), (1, 'items.description', s.description, s.description_reason))
    AS t (position, location, content, reason)
ORDER BY k.item_idx, t.position;

-- name: write_media_assets
INSERT INTO assets
SELECT k.item_idx, m.modality, m.position, m.location, m.content_sha256, 'pending', 'file not read yet'
FROM kept_items AS k JOIN staged_media AS m USING (item_key)
WHERE m.modality = $modality ORDER BY k.item_idx, m.position;

-- name: write_picture_addresses
-- Of items without a picture file: an asset an address, or one that says why there is none.
INSERT INTO assets
SELECT k.item_idx, 'visual', a.position - 1, a.address, NULL, 'not_fetched', 'address not fetched'
FROM kept_items AS k JOIN staged_items AS s USING (item_key), LATERAL (SELECT unnest(s.pictures), generate_subscripts(s.pictures, 1)) AS a (address, position)
WHERE item_key NOT IN (SELECT item_key FROM staged_media WHERE modality = 'visual')
UNION ALL
SELECT k.item_idx, 'visual', 0, '', NULL, 'absent', coalesce(s.picture_reason, 'not in the metadata')
FROM kept_items AS k LEFT JOIN staged_items AS s USING (item_key)
WHERE coalesce(len(s.pictures), 0) = 0 AND item_key NOT IN (SELECT item_key FROM staged_media WHERE modality = 'visual')
ORDER BY ALL;

-- name: write_missing_audio
INSERT INTO assets
SELECT item_idx, 'audio', 0, '', NULL, 'absent', 'no audio file'
FROM kept_items ANTI JOIN (SELECT item_key FROM staged_media WHERE modality = 'audio') USING (item_key) ORDER BY item_idx;
