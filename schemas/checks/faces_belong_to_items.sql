-- Every face belongs to an item, and an item has one face at a position.
SELECT f.item_idx, f.position, count(*) AS n FROM faces AS f LEFT JOIN items AS i USING (item_idx)
GROUP BY f.item_idx, f.position, i.item_key HAVING i.item_key IS NULL OR count(*) > 1;
