The store's own bookkeeping.

-- name: applied_migrations
SELECT version, sha256 FROM schema_migrations ORDER BY version;

-- name: create_migrations
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, file VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL);

-- name: create_view_record
-- Which text the views were made from, so that a change of it reaches stores that are there already.
CREATE TABLE schema_views (sha256 VARCHAR NOT NULL);

-- name: views_digest
SELECT sha256 FROM schema_views;

-- name: forget_views
DELETE FROM schema_views;

-- name: record_views
INSERT INTO schema_views VALUES ($sha256);

-- name: record_migration
INSERT INTO schema_migrations VALUES ($version, $file, $sha256, make_timestamp(epoch_us(now())));

-- name: table_names
SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY table_name;

-- name: append
-- A template: the table is one of those that table_names lists; `incoming` is the registered frame.
INSERT INTO "{table}" BY NAME SELECT * FROM incoming;
