-- An item is in exactly one part of a split: no new item in training.
SELECT split_id, item_idx, count(*) AS parts FROM split_items GROUP BY split_id, item_idx HAVING count(*) > 1;
