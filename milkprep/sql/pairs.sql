From raw interactions to the (user, item) pairs of a k-core. Temporary tables of one pull; integers stand for keys, so that
tens of millions of pairs sort and group quickly and go to disk when they do not fit.

-- name: create
CREATE OR REPLACE TEMP TABLE pairs (
    line BIGINT NOT NULL, user_number INTEGER NOT NULL, item_number INTEGER NOT NULL, rating FLOAT, seconds BIGINT, digest BIGINT NOT NULL
);
CREATE OR REPLACE TEMP TABLE raw_pairs (
    line BIGINT NOT NULL, user_key VARCHAR NOT NULL, item_key VARCHAR NOT NULL, rating FLOAT, seconds BIGINT, digest BIGINT NOT NULL
);
CREATE OR REPLACE TEMP TABLE user_numbers (user_number INTEGER NOT NULL, user_key VARCHAR NOT NULL);
CREATE OR REPLACE TEMP TABLE item_numbers (item_number INTEGER NOT NULL, item_key VARCHAR NOT NULL);

-- name: number_users
-- Numbers follow the order of keys, by bytes.
INSERT INTO user_numbers SELECT row_number() OVER (ORDER BY user_key) - 1, user_key FROM (SELECT DISTINCT user_key FROM raw_pairs);

-- name: number_items
INSERT INTO item_numbers SELECT row_number() OVER (ORDER BY item_key) - 1, item_key FROM (SELECT DISTINCT item_key FROM raw_pairs);

-- name: pairs_by_number
-- Readers of JSON disagree about -0, which is no rating of its own.
INSERT INTO pairs
SELECT line, user_number, item_number, CASE WHEN rating = 0 THEN 0 ELSE rating END, seconds, digest
FROM raw_pairs JOIN user_numbers USING (user_key) JOIN item_numbers USING (item_key);

-- name: forget_raw_pairs
DROP TABLE raw_pairs;

-- name: find_repeats
-- Lines to drop: the same bytes as an earlier line, else the same pair as the line that is kept (earliest, then first).
CREATE OR REPLACE TEMP TABLE repeats AS
WITH crowded AS (
    SELECT user_number, item_number FROM pairs GROUP BY ALL HAVING count(*) > 1
), by_bytes AS (
    SELECT line, user_number, item_number, seconds, min(line) OVER (PARTITION BY user_number, item_number, digest) AS first_line
    FROM pairs SEMI JOIN crowded USING (user_number, item_number)
), by_time AS (
    SELECT line, first_value(line) OVER (PARTITION BY user_number, item_number ORDER BY seconds NULLS LAST, line) AS kept_line
    FROM by_bytes WHERE line = first_line
)
SELECT line, 'duplicate_line' AS reason, 'same bytes as line ' || first_line AS detail FROM by_bytes WHERE line > first_line
UNION ALL
SELECT line, 'duplicate_pair', 'same user and item as line ' || kept_line || ', which is kept' FROM by_time WHERE line <> kept_line;

-- name: reject_repeats
INSERT INTO staged_rejects SELECT $source, line, reason, detail, NULL FROM repeats;

-- name: drop_repeats
DELETE FROM pairs WHERE line IN (SELECT line FROM repeats);

-- name: count_degrees
CREATE OR REPLACE TEMP TABLE user_degrees AS SELECT user_number, count(*) AS degree FROM pairs GROUP BY user_number;
CREATE OR REPLACE TEMP TABLE item_degrees AS SELECT item_number, count(*) AS degree FROM pairs GROUP BY item_number;
CREATE OR REPLACE TEMP TABLE leaving (line BIGINT, user_number INTEGER, item_number INTEGER);

-- name: find_leaving
-- Pairs of a user or an item that has too few. Only degrees that change are counted again: late rounds cost little.
INSERT INTO leaving
SELECT line, user_number, item_number FROM pairs
WHERE user_number IN (SELECT user_number FROM user_degrees WHERE degree < $core)
   OR item_number IN (SELECT item_number FROM item_degrees WHERE degree < $core);

-- name: count_leaving
SELECT count(*) AS n FROM leaving;

-- name: reject_leaving
INSERT INTO staged_rejects
SELECT $source, line, 'below_core', 'the user or the item has fewer than ' || $core || ' interactions left', NULL FROM leaving;

-- name: drop_leaving
DELETE FROM pairs WHERE line IN (SELECT line FROM leaving);

-- name: forget_weak_users
DELETE FROM user_degrees WHERE degree < $core;

-- name: forget_weak_items
DELETE FROM item_degrees WHERE degree < $core;

-- name: lower_user_degrees
UPDATE user_degrees SET degree = degree - gone.n
FROM (SELECT user_number, count(*) AS n FROM leaving GROUP BY user_number) AS gone WHERE gone.user_number = user_degrees.user_number;

-- name: lower_item_degrees
UPDATE item_degrees SET degree = degree - gone.n
FROM (SELECT item_number, count(*) AS n FROM leaving GROUP BY item_number) AS gone WHERE gone.item_number = item_degrees.item_number;

-- name: empty_leaving
TRUNCATE leaving;

-- name: forget_degrees
DROP TABLE user_degrees; DROP TABLE item_degrees; DROP TABLE leaving;

-- name: item_keys
SELECT item_key FROM item_numbers SEMI JOIN pairs USING (item_number);
