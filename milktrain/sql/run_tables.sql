Finished runs as tables of the SQL command.

-- name: name_files
-- Which files run_users reads; a view cannot have its values bound.
SET VARIABLE run_files = $files;

-- name: run_users
-- Metrics of each user, a row a run, part and user, read from the run folders when they are asked for: recall@10 is recall_10.
CREATE TEMP VIEW run_users AS
SELECT f.run_id, f.part, u.user_idx, u.n_relevant, COLUMNS('^(.+)@([0-9]+)$') AS '\1_\2'
FROM read_parquet(getvariable('run_files'), filename = true, union_by_name = true) AS u JOIN run_files AS f ON f.file = u.filename;
