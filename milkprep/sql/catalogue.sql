The end of a pull: users, interactions, rejects and the record of the pull itself.

-- name: latest_pull
SELECT source, fingerprint, parameters, inputs, report FROM pulls ORDER BY pull_id DESC LIMIT 1;

-- name: holds_anything
SELECT (SELECT count(*) FROM items) + (SELECT count(*) FROM users) > 0 AS held;

-- name: number_kept_users
CREATE OR REPLACE TEMP TABLE kept_users AS
SELECT (row_number() OVER (ORDER BY user_number) - 1)::INTEGER AS user_idx, user_number
FROM (SELECT DISTINCT user_number FROM pairs);

-- name: write_users
INSERT INTO users SELECT user_idx, user_key FROM kept_users JOIN user_numbers USING (user_number) ORDER BY user_idx;

-- name: write_interactions
INSERT INTO interactions
SELECT user_idx, item_idx, rating, make_timestamp(seconds * 1000000)
FROM pairs JOIN kept_users USING (user_number) JOIN item_numbers USING (item_number) JOIN kept_items USING (item_key)
ORDER BY user_idx, item_idx;

-- name: write_rejects
INSERT INTO rejects SELECT source, line, reason, detail, text_start FROM staged_rejects;

-- name: count_rejects
SELECT source, reason, count(*) AS n FROM staged_rejects GROUP BY ALL ORDER BY ALL;

-- name: count_tables
SELECT (SELECT count(*) FROM users) AS n_users, (SELECT count(*) FROM items) AS n_items, (SELECT count(*) FROM interactions) AS n_interactions;

-- name: record_pull
INSERT INTO pulls
SELECT coalesce(max(pull_id), 0) + 1, $source, $parameters, $inputs, $fingerprint, $catalogue_fingerprint, $report, $toolkit_version, make_timestamp(epoch_us(now())) FROM pulls;

-- name: fingerprint_users
SELECT user_idx, user_key FROM users ORDER BY user_idx;

-- name: fingerprint_items
SELECT item_idx, item_key, title, description, brand, to_json(categories)::VARCHAR AS categories, in_metadata FROM items ORDER BY item_idx;

-- name: fingerprint_interactions
SELECT user_idx, item_idx, rating, "timestamp" FROM interactions ORDER BY user_idx, item_idx;

-- name: fingerprint_assets
-- Without locations: the same files in another folder are the same catalogue.
SELECT item_idx, modality, position, content_sha256, status, reason FROM assets ORDER BY item_idx, modality, position;
