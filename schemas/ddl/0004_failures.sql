-- What each feature set could not use, so that one encoder's refusal says nothing of another's, and is not tried again and again.
CREATE TABLE feature_failures (
    feature_set_id INTEGER NOT NULL,
    item_idx INTEGER NOT NULL,
    position INTEGER NOT NULL,               -- of the asset; 0 for a text, which may have several
    content_sha256 VARCHAR,                  -- what was tried; NULL where it could not even be read
    status VARCHAR NOT NULL,                 -- decode_error, too_short, silent, absent
    reason VARCHAR NOT NULL                  -- in words
);
