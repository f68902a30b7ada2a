-- Every asset belongs to an item, and an item has one asset at a position.
SELECT a.item_idx, a.modality, a.position, count(*) AS n FROM assets AS a LEFT JOIN items AS i USING (item_idx)
GROUP BY a.item_idx, a.modality, a.position, i.item_key HAVING i.item_key IS NULL OR count(*) > 1;
