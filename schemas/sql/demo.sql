The three questions the demo asks at its end.

-- name: how_many_items_have_which_modalities
SELECT visual, text, audio, count(*) AS items FROM modality_availability GROUP BY ALL ORDER BY items DESC;

-- name: why_items_have_no_picture
SELECT visual_reason, count(*) AS items FROM modality_availability WHERE NOT visual GROUP BY ALL ORDER BY items DESC;

-- name: runs_best_first
SELECT model, split, test_recall_20, test_ndcg_20, best_epoch FROM runs ORDER BY test_ndcg_20 DESC;
