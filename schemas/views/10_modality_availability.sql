-- The matrix A of the paper: a row an item, a boolean a modality, and in words why where it is false.
CREATE OR REPLACE VIEW modality_availability AS
WITH embedded AS (
    SELECT DISTINCT r.item_idx, s.modality
    FROM feature_rows AS r JOIN feature_sets AS s USING (feature_set_id)
    WHERE s.is_current
), first_asset AS (
    -- What is there but could not be used says more than what was never there; then the first position speaks.
    SELECT item_idx, modality, arg_min(coalesce(reason, ''), (status = 'absent', position)) AS reason
    FROM assets GROUP BY item_idx, modality
), cells AS (
    SELECT i.item_idx, i.item_key, m.modality,
           e.item_idx IS NOT NULL AS available,
           CASE WHEN e.item_idx IS NOT NULL THEN NULL
                WHEN a.item_idx IS NULL THEN 'the source has no ' || m.modality || ' content'
                WHEN a.reason <> '' THEN a.reason
                ELSE 'not extracted yet' END AS reason
    FROM items AS i
    CROSS JOIN (VALUES ('visual'), ('text'), ('audio')) AS m (modality)
    LEFT JOIN embedded AS e ON e.item_idx = i.item_idx AND e.modality = m.modality
    LEFT JOIN first_asset AS a ON a.item_idx = i.item_idx AND a.modality = m.modality
)
SELECT item_idx, any_value(item_key) AS item_key,
       bool_or(available) FILTER (WHERE modality = 'visual') AS visual,
       bool_or(available) FILTER (WHERE modality = 'text') AS "text",
       bool_or(available) FILTER (WHERE modality = 'audio') AS audio,
       max(reason) FILTER (WHERE modality = 'visual') AS visual_reason,
       max(reason) FILTER (WHERE modality = 'text') AS text_reason,
       max(reason) FILTER (WHERE modality = 'audio') AS audio_reason
FROM cells GROUP BY item_idx ORDER BY item_idx;
