The availability matrix as data.

-- name: matrix
SELECT item_idx, visual, "text", audio FROM modality_availability ORDER BY item_idx;

-- name: splits
SELECT name, availability_fingerprint FROM splits ORDER BY name;

-- name: combinations
-- Items by which modalities they have.
SELECT visual, "text", audio, count(*) AS items FROM modality_availability GROUP BY visual, "text", audio
ORDER BY items DESC, visual DESC, "text" DESC, audio DESC;

-- name: reasons
-- Why items have no vector of a modality, most frequent first.
SELECT modality, reason, count(*) AS items FROM (
    SELECT 0 AS place, 'visual' AS modality, visual_reason AS reason FROM modality_availability WHERE NOT visual
    UNION ALL SELECT 1, 'text', text_reason FROM modality_availability WHERE NOT "text"
    UNION ALL SELECT 2, 'audio', audio_reason FROM modality_availability WHERE NOT audio
) GROUP BY place, modality, reason ORDER BY place, items DESC, reason;
