-- An asset that is not ok says why in words.
SELECT item_idx, modality, position, status FROM assets WHERE status <> 'ok' AND coalesce(reason, '') = '';
