-- A user and an item have at most one interaction row.
SELECT user_idx, item_idx, count(*) AS n FROM interactions GROUP BY ALL HAVING count(*) > 1;
