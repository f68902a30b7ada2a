-- An item is available in a modality exactly when the modality's view shows one vector of it.
WITH shown AS (
    SELECT 'visual' AS modality, item_idx FROM features_visual
    UNION ALL SELECT 'text', item_idx FROM features_text
    UNION ALL SELECT 'audio', item_idx FROM features_audio
), counted AS (
    SELECT modality, item_idx, count(*) AS vectors FROM shown GROUP BY ALL
), claimed AS (
    SELECT 'visual' AS modality, item_idx FROM modality_availability WHERE visual
    UNION ALL SELECT 'text', item_idx FROM modality_availability WHERE "text"
    UNION ALL SELECT 'audio', item_idx FROM modality_availability WHERE audio
)
SELECT modality, item_idx, coalesce(n.vectors, 0) AS vectors, c.item_idx IS NOT NULL AS available
FROM claimed AS c FULL JOIN counted AS n USING (modality, item_idx)
WHERE c.item_idx IS NULL OR n.vectors IS DISTINCT FROM 1;
