-- Every word of a title belongs to an item, is counted once or more, and stands once in its title.
SELECT w.item_idx, w.word, min(w."count") AS "count", count(*) AS n FROM title_words AS w LEFT JOIN items AS i USING (item_idx)
GROUP BY w.item_idx, w.word, i.item_key HAVING i.item_key IS NULL OR min(w."count") < 1 OR count(*) > 1;
