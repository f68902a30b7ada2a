-- A visual vector holds finite numbers, and is not all zeros: a missing vector is a missing row.
SELECT item_idx, item_key FROM features_visual
WHERE list_count(vector) < array_length(vector) OR NOT isfinite(list_sum(vector)) OR (list_min(vector) = 0 AND list_max(vector) = 0);
