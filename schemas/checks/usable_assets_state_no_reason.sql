-- An asset that is ok states no reason: what one encoder could not do with it is in feature_failures.
SELECT item_idx, modality, position, reason FROM assets WHERE status = 'ok' AND reason IS NOT NULL;
