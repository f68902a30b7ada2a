-- A audio vector holds numbers, and is not all zeros: a missing vector is a missing row.
SELECT item_idx, item_key FROM features_audio
WHERE NOT coalesce(isfinite(list_dot_product(vector::FLOAT[], vector::FLOAT[])) AND list_dot_product(vector::FLOAT[], vector::FLOAT[]) > 0, false);
