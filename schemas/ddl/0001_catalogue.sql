-- The catalogue: who, what, who touched what, which content each item has, and what was refused.
CREATE TABLE pulls (
    pull_id INTEGER PRIMARY KEY,
    source VARCHAR NOT NULL,                 -- 'amazon-2018', 'prepared', ...
    parameters JSON NOT NULL,                -- every setting that shaped the tables
    inputs JSON NOT NULL,                    -- list of {path, bytes, sha256}
    fingerprint VARCHAR NOT NULL,            -- of parameters and input contents
    catalogue_fingerprint VARCHAR NOT NULL,  -- of users, items, interactions and assets as stored
    report JSON NOT NULL,                    -- lines read, taken, and dropped by each rule
    toolkit_version VARCHAR NOT NULL,
    pulled_at TIMESTAMP NOT NULL
);
CREATE TABLE users (
    user_idx INTEGER PRIMARY KEY,            -- 0 .. number of users - 1, in the order of keys
    user_key VARCHAR NOT NULL
);
CREATE TABLE items (
    item_idx INTEGER PRIMARY KEY,            -- 0 .. number of items - 1
    item_key VARCHAR NOT NULL,
    title VARCHAR,                           -- NULL where the source has none or only scraped HTML
    description VARCHAR,
    brand VARCHAR,
    categories VARCHAR[] NOT NULL,
    in_metadata BOOLEAN NOT NULL             -- false: interacted with, but the metadata has no line for it
);
CREATE TABLE interactions (                  -- one row a (user, item) pair
    user_idx INTEGER NOT NULL,
    item_idx INTEGER NOT NULL,
    rating FLOAT,
    "timestamp" TIMESTAMP                    -- UTC, of the earliest interaction of the pair
);
CREATE TABLE assets (
    item_idx INTEGER NOT NULL,
    modality VARCHAR NOT NULL,
    position INTEGER NOT NULL,               -- several pictures an item: 0, 1, ...
    location VARCHAR NOT NULL,               -- column of items, file path, or address
    content_sha256 VARCHAR,                  -- NULL until the content has been read
    status VARCHAR NOT NULL,                 -- ok, pending, not_fetched, absent, decode_error, ...
    reason VARCHAR                           -- in words, where the status is not ok
);
CREATE TABLE rejects (
    source VARCHAR NOT NULL,                 -- file name, or modality of an asset
    line BIGINT,                             -- 1-based line of the raw file
    reason VARCHAR NOT NULL,
    detail VARCHAR NOT NULL,
    text_start VARCHAR                       -- the start of the refused text
);
