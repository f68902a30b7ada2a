-- What became of each address of an asset: fetched once, however many items name it, and remembered when the catalogue is replaced.
CREATE TABLE downloads (
    address VARCHAR NOT NULL,                -- as assets.location has it
    modality VARCHAR NOT NULL,
    status VARCHAR NOT NULL,                 -- ok, absent, fetch_error, decode_error
    reason VARCHAR,                          -- in words, where the status is not ok
    content_sha256 VARCHAR,                  -- of the file, where it was fetched
    bytes BIGINT,
    file VARCHAR,                            -- absolute path of the content; two addresses of one content share it
    fetched_at TIMESTAMP NOT NULL,
    PRIMARY KEY (address, modality)          -- one address may be asked for its picture and for its sound
);
