-- A setting takes away only modalities that the item had.
SELECT split_id, item_idx, modality FROM split_availability WHERE lost AND NOT present;
