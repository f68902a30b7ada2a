-- Every interaction names a user and an item of the catalogue.
SELECT n.* FROM interactions AS n
LEFT JOIN users AS u USING (user_idx) LEFT JOIN items AS i USING (item_idx)
WHERE u.user_key IS NULL OR i.item_key IS NULL;
