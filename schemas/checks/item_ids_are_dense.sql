-- Items are numbered 0 .. n-1 and their keys are unique.
SELECT item_idx, item_key FROM (
    SELECT item_idx, item_key, row_number() OVER (ORDER BY item_idx) - 1 AS expected, count(*) OVER (PARTITION BY item_key) AS n FROM items
) WHERE item_idx <> expected OR n > 1;
