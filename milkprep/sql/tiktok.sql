The ICME 2019 short-video files. Temporary tables of one pull, ids as they are in the files; {table} stands for one of the two
staged tables whose lines describe an item each, and nothing else is ever put in.

-- name: create
CREATE OR REPLACE TEMP TABLE views (line BIGINT NOT NULL, user_id BIGINT NOT NULL, item_id BIGINT NOT NULL, positive BOOLEAN NOT NULL, digest BIGINT NOT NULL);
CREATE OR REPLACE TEMP TABLE staged_titles (line BIGINT NOT NULL, item_id BIGINT NOT NULL, words INTEGER[] NOT NULL, counts INTEGER[] NOT NULL, digest BIGINT NOT NULL);
CREATE OR REPLACE TEMP TABLE staged_faces (
    line BIGINT NOT NULL, item_id BIGINT NOT NULL, gender INTEGER[] NOT NULL, beauty FLOAT[] NOT NULL, relative_position FLOAT[][] NOT NULL,
    digest BIGINT NOT NULL
);
CREATE OR REPLACE TEMP TABLE staged_vectors (
    line BIGINT NOT NULL, modality VARCHAR NOT NULL, item_id BIGINT NOT NULL, width BIGINT NOT NULL, vector FLOAT[128] NOT NULL, digest BIGINT NOT NULL
);

-- name: count_not_positive
SELECT count(*) AS n FROM views WHERE NOT positive;

-- name: positive_pairs
INSERT INTO raw_pairs SELECT line, user_id::VARCHAR, item_id::VARCHAR, NULL, NULL, digest FROM views WHERE positive;

-- name: see_items
-- Every item that any file names; only on request, as most of them nobody finished.
CREATE OR REPLACE TEMP TABLE seen_items AS
SELECT DISTINCT item_id::VARCHAR AS item_key FROM (
    SELECT item_id FROM views UNION ALL SELECT item_id FROM staged_titles UNION ALL SELECT item_id FROM staged_faces UNION ALL SELECT item_id FROM staged_vectors
) WHERE $keep_all;

-- name: forget_views
DROP TABLE views;

-- name: find_repeats
CREATE OR REPLACE TEMP TABLE repeated_lines AS
SELECT line, digest, min(line) OVER (PARTITION BY item_id) AS first_line, min(line) OVER (PARTITION BY item_id, digest) AS first_same
FROM {table} QUALIFY line > first_line;

-- name: reject_repeats
INSERT INTO staged_rejects
SELECT $source, line, CASE WHEN line > first_same THEN 'duplicate_line' ELSE 'duplicate_item' END,
    CASE WHEN line > first_same THEN 'same bytes as line ' || first_same ELSE 'line ' || first_line || ' describes the same item' END, NULL
FROM repeated_lines;

-- name: drop_repeats
DELETE FROM {table} WHERE line IN (SELECT line FROM repeated_lines);

-- name: keep_items
-- Items with a pair, and on request every item seen; numbered in the order of keys, by bytes.
INSERT INTO kept_items
WITH wanted AS (
    SELECT item_key FROM item_numbers SEMI JOIN pairs USING (item_number)
    UNION SELECT item_key FROM seen_items
)
SELECT row_number() OVER (ORDER BY w.item_key) - 1, w.item_key, t.line FROM wanted AS w LEFT JOIN staged_titles AS t ON t.item_id::VARCHAR = w.item_key;

-- name: reject_without_item
INSERT INTO staged_rejects
SELECT $source, line, 'without_item', 'item ' || item_id || ' is not taken', NULL
FROM {table} AS s ANTI JOIN kept_items AS k ON k.item_key = s.item_id::VARCHAR;

-- name: count_kept
SELECT count(*) AS n FROM kept_items;

-- name: write_items
INSERT INTO items SELECT item_idx, item_key, NULL, NULL, NULL, [], line IS NOT NULL FROM kept_items ORDER BY item_idx;

-- name: write_title_words
INSERT INTO title_words
SELECT item_idx, unnest(words) AS word, unnest(counts)
FROM kept_items AS k JOIN staged_titles AS s ON s.item_id::VARCHAR = k.item_key ORDER BY item_idx, word;

-- name: write_faces
INSERT INTO faces
SELECT item_idx, unnest(range(len(gender)))::INTEGER AS position, unnest(gender), unnest(beauty),
    unnest(list_transform(relative_position, lambda place: place[1])), unnest(list_transform(relative_position, lambda place: place[2])),
    unnest(list_transform(relative_position, lambda place: place[3])), unnest(list_transform(relative_position, lambda place: place[4]))
FROM kept_items AS k JOIN staged_faces AS s ON s.item_id::VARCHAR = k.item_key ORDER BY item_idx, position;

-- name: last_vector_line
SELECT coalesce(max(line), 0) AS line FROM staged_vectors WHERE modality = $modality;

-- name: vector_page
SELECT line, item_id::VARCHAR AS item_key, width, vector FROM staged_vectors
WHERE modality = $modality AND line > $after AND line <= $after + $n ORDER BY line;

-- name: count_titles
SELECT count(DISTINCT item_idx) AS n_titles, count(DISTINCT word) AS n_words FROM title_words;

-- name: choose_words
-- The words that most titles have, and the column that each gets.
CREATE OR REPLACE TEMP TABLE chosen_words AS
WITH frequent AS (SELECT word, count(*) AS n_titles FROM title_words GROUP BY word ORDER BY n_titles DESC, word LIMIT $most)
SELECT word, n_titles, (row_number() OVER (ORDER BY word) - 1)::INTEGER AS place FROM frequent;

-- name: chosen_words
SELECT word, n_titles FROM chosen_words ORDER BY place;

-- name: titled_items
SELECT DISTINCT item_idx FROM title_words ORDER BY item_idx;

-- name: last_item
SELECT max(item_idx) AS item_idx FROM title_words;

-- name: title_page
SELECT item_idx, place, t."count" AS times FROM title_words AS t JOIN chosen_words USING (word)
WHERE item_idx >= $first AND item_idx < $first + $n ORDER BY item_idx, place;

-- name: title_lines
-- Items of a page that have a title, with its line.
SELECT item_idx, item_key, line FROM kept_items SEMI JOIN title_words USING (item_idx) WHERE item_idx >= $first AND item_idx < $first + $n ORDER BY item_idx;

-- name: explain_empty_titles
UPDATE assets SET reason = $reason WHERE modality = 'text' AND status = 'absent'
    AND item_idx IN (SELECT item_idx FROM kept_items AS k JOIN staged_titles AS s ON s.item_id::VARCHAR = k.item_key WHERE len(words) = 0);
