-- An item that had a modality keeps at least one.
SELECT split_id, item_idx FROM split_availability GROUP BY split_id, item_idx
HAVING bool_or(present) AND NOT bool_or(present AND NOT lost);
