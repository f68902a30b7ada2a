Media of somebody's own catalogue: what columns name and what folders hold, and the assets that come of both. Temporary tables.

-- name: create
CREATE OR REPLACE TEMP TABLE column_media (
    line BIGINT NOT NULL, kind VARCHAR NOT NULL, position INTEGER NOT NULL, location VARCHAR NOT NULL, content_sha256 VARCHAR,
    status VARCHAR NOT NULL, reason VARCHAR NOT NULL
);
CREATE OR REPLACE TEMP TABLE named_media (
    item_key VARCHAR NOT NULL, kind VARCHAR NOT NULL, location VARCHAR NOT NULL, content_sha256 VARCHAR, status VARCHAR NOT NULL, reason VARCHAR NOT NULL
);
CREATE OR REPLACE TEMP TABLE unread_media (location VARCHAR NOT NULL);

-- name: count_without_item
-- Files in folders that neither the key of an item nor a column names.
SELECT count(*) AS n FROM named_media ANTI JOIN kept_items USING (item_key)
WHERE location NOT IN (SELECT location FROM column_media SEMI JOIN kept_items USING (line));

-- name: count_unread
-- Files whose endings are not read, unless a column names them: then they are.
SELECT count(*) AS n FROM unread_media WHERE location NOT IN (SELECT location FROM column_media SEMI JOIN kept_items USING (line));

-- name: count_reason
SELECT (SELECT count(*) FROM column_media SEMI JOIN kept_items USING (line) WHERE reason = $reason)
     + (SELECT count(*) FROM named_media SEMI JOIN kept_items USING (item_key) WHERE reason = $reason) AS n;

-- name: find_contents
-- Of each item what its columns name, in their order, then files named by its key; one file once, and no address where there is
-- such a file of the kind. A video is visual content after the pictures, and sound where there is no other.
CREATE OR REPLACE TEMP TABLE contents AS
WITH found AS (
    SELECT k.item_idx, m.kind, 0 AS by_name, m.position, m.location, m.content_sha256, m.status, m.reason
    FROM column_media AS m JOIN kept_items AS k USING (line)
    UNION ALL
    SELECT k.item_idx, m.kind, 1, row_number() OVER (PARTITION BY k.item_idx, m.kind ORDER BY m.location), m.location, m.content_sha256, m.status, m.reason
    FROM named_media AS m JOIN kept_items AS k USING (item_key)
), own_files AS (
    SELECT DISTINCT item_idx, kind FROM found WHERE by_name = 1 AND status = 'pending'
), useful AS (
    SELECT f.* FROM found AS f LEFT JOIN own_files AS o USING (item_idx, kind) WHERE o.item_idx IS NULL OR f.status <> 'not_fetched'
    QUALIFY row_number() OVER (PARTITION BY f.item_idx, f.kind, f.location ORDER BY f.by_name, f.position) = 1
), with_sound AS (
    SELECT DISTINCT item_idx FROM useful WHERE kind = 'audio' AND status <> 'absent'
), by_modality AS (
    SELECT 'visual' AS modality, kind = 'video' AS last, * FROM useful WHERE kind IN ('images', 'video')
    UNION ALL
    SELECT 'audio', kind = 'video', * FROM useful WHERE kind = 'audio' OR kind = 'video' AND item_idx NOT IN (SELECT item_idx FROM with_sound)
)
SELECT item_idx, modality, row_number() OVER (PARTITION BY item_idx, modality ORDER BY last, by_name, position) - 1 AS position,
       location, content_sha256, status, reason
FROM by_modality;

-- name: write_contents
INSERT INTO assets
SELECT item_idx, modality, position, location, content_sha256, status, reason FROM contents ORDER BY item_idx, modality, position;

-- name: write_absent
INSERT INTO assets
SELECT k.item_idx, m.modality, 0, '', NULL, 'absent', m.reason
FROM kept_items AS k CROSS JOIN (VALUES ('visual', 'no picture and no video'), ('audio', 'no sound and no video')) AS m (modality, reason)
ANTI JOIN contents AS c ON c.item_idx = k.item_idx AND c.modality = m.modality
ORDER BY k.item_idx, m.modality;
