-- Every item of a split is in the catalogue.
SELECT s.split_id, s.item_idx FROM split_items AS s ANTI JOIN items AS i USING (item_idx);
