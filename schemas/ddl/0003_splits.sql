-- Splits: which part each item belongs to, and which modalities the setting takes away.
CREATE TABLE splits (
    split_id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL UNIQUE,
    setting VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    parameters JSON NOT NULL,
    catalogue_fingerprint VARCHAR NOT NULL,      -- of the catalogue it was drawn from
    availability_fingerprint VARCHAR NOT NULL,   -- of the availability it was drawn from
    fingerprint VARCHAR NOT NULL,                -- of everything above and the rows below
    created_at TIMESTAMP NOT NULL
);
CREATE TABLE split_items (
    split_id INTEGER NOT NULL,
    item_idx INTEGER NOT NULL,
    part VARCHAR NOT NULL                        -- train, val, test
);
CREATE TABLE split_availability (
    split_id INTEGER NOT NULL,
    item_idx INTEGER NOT NULL,
    modality VARCHAR NOT NULL,
    present BOOLEAN NOT NULL,                    -- natural: the item has a vector
    lost BOOLEAN NOT NULL                        -- simulated: the setting takes it away
);
