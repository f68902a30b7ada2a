-- Every vector an item has comes from an asset of that item that is ok.
SELECT r.feature_set_id, r.item_idx, s.modality FROM feature_rows AS r JOIN feature_sets AS s USING (feature_set_id)
WHERE NOT EXISTS (SELECT 1 FROM assets AS a WHERE a.item_idx = r.item_idx AND a.modality = s.modality AND a.status = 'ok');
