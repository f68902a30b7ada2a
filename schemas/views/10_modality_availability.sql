-- The matrix A of the paper: a row an item, a boolean a modality, and in words why where it is false.
-- Why: what the current feature set could not do with the item; else what became of its content; else that the set's columns
-- hold no text; else nobody has extracted it yet. Of several contents, what is there but could not be used says more than
-- what was never there; then the first position speaks.
CREATE OR REPLACE VIEW modality_availability AS
WITH shown AS (
    SELECT feature_set_id, modality, from_json(parameters->'fields', '["VARCHAR"]') AS fields FROM feature_sets WHERE is_current
), embedded AS (
    SELECT DISTINCT r.item_idx, s.modality FROM feature_rows AS r JOIN shown AS s USING (feature_set_id)
), failed AS (
    SELECT f.item_idx, s.modality, arg_min(f.reason, (f.status = 'absent', f.position)) AS reason
    FROM feature_failures AS f JOIN shown AS s USING (feature_set_id) GROUP BY f.item_idx, s.modality
), first_asset AS (
    -- Content that is ok states no reason.
    SELECT item_idx, modality, arg_min(coalesce(reason, ''), (status = 'absent', position)) AS reason
    FROM assets GROUP BY item_idx, modality
), unasked AS (
    -- Items without a character in the columns that the current set of texts is made of.
    SELECT i.item_idx, s.modality, 'no text in ' || array_to_string(s.fields, ', ') AS reason
    FROM items AS i CROSS JOIN (SELECT modality, fields FROM shown WHERE modality = 'text' AND len(fields) > 0) AS s
    WHERE NOT (list_contains(s.fields, 'title') AND regexp_matches(coalesce(i.title, ''), '\S'))
      AND NOT (list_contains(s.fields, 'description') AND regexp_matches(coalesce(i.description, ''), '\S'))
      AND NOT (list_contains(s.fields, 'brand') AND regexp_matches(coalesce(i.brand, ''), '\S'))
      AND NOT (list_contains(s.fields, 'categories') AND regexp_matches(coalesce(array_to_string(i.categories, ''), ''), '\S'))
), cells AS (
    SELECT i.item_idx, i.item_key, m.modality,
           e.item_idx IS NOT NULL AS available,
           CASE WHEN e.item_idx IS NOT NULL THEN NULL
                WHEN f.reason <> '' THEN f.reason
                WHEN a.item_idx IS NULL THEN 'the source has no ' || m.modality || ' content'
                WHEN a.reason <> '' THEN a.reason
                ELSE coalesce(u.reason, 'not extracted yet') END AS reason
    FROM items AS i
    CROSS JOIN (VALUES ('visual'), ('text'), ('audio')) AS m (modality)
    LEFT JOIN embedded AS e ON e.item_idx = i.item_idx AND e.modality = m.modality
    LEFT JOIN failed AS f ON f.item_idx = i.item_idx AND f.modality = m.modality
    LEFT JOIN first_asset AS a ON a.item_idx = i.item_idx AND a.modality = m.modality
    LEFT JOIN unasked AS u ON u.item_idx = i.item_idx AND u.modality = m.modality
)
SELECT item_idx, any_value(item_key) AS item_key,
       bool_or(available) FILTER (WHERE modality = 'visual') AS visual,
       bool_or(available) FILTER (WHERE modality = 'text') AS "text",
       bool_or(available) FILTER (WHERE modality = 'audio') AS audio,
       max(reason) FILTER (WHERE modality = 'visual') AS visual_reason,
       max(reason) FILTER (WHERE modality = 'text') AS text_reason,
       max(reason) FILTER (WHERE modality = 'audio') AS audio_reason
FROM cells GROUP BY item_idx ORDER BY item_idx;
