What using a finished run reads from a store, besides what training does.

-- name: titles
SELECT title FROM items ORDER BY item_idx;
