-- Vectors: one row an encoder run, which content an item's vector came from. The vectors themselves lie in one table a
-- feature set, vectors_<feature_set_id> (content_sha256 VARCHAR, vector FLOAT[width]), because widths differ.
CREATE TABLE feature_sets (
    feature_set_id INTEGER PRIMARY KEY,
    modality VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    weights VARCHAR NOT NULL,
    weights_sha256 VARCHAR NOT NULL,
    width INTEGER NOT NULL,
    pooling VARCHAR NOT NULL,
    parameters JSON NOT NULL,
    versions JSON NOT NULL,                  -- libraries that computed the vectors
    fingerprint VARCHAR NOT NULL UNIQUE,     -- of modality, encoder, weights, width, pooling, parameters
    is_current BOOLEAN NOT NULL,             -- the one that features_<modality> shows
    n_contents INTEGER NOT NULL,             -- distinct contents embedded
    n_items INTEGER NOT NULL,                -- items with a vector
    n_failed INTEGER NOT NULL,               -- assets that could not be embedded
    seconds DOUBLE NOT NULL,
    created_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP                    -- NULL: interrupted, extract resumes it
);
CREATE TABLE feature_rows (
    feature_set_id INTEGER NOT NULL,
    item_idx INTEGER NOT NULL,
    position INTEGER NOT NULL,
    content_sha256 VARCHAR NOT NULL
);
