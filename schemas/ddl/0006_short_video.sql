-- What short-video sets have besides: titles as bags of anonymous words, and the faces seen in a video.
CREATE TABLE title_words (
    item_idx INTEGER NOT NULL,
    word INTEGER NOT NULL,                   -- anonymous word id
    count INTEGER NOT NULL
);
CREATE TABLE faces (
    item_idx INTEGER NOT NULL,
    position INTEGER NOT NULL,               -- of the face in its item: 0, 1, ...
    gender INTEGER,
    beauty FLOAT,
    x FLOAT, y FLOAT, width FLOAT, height FLOAT  -- relative to the picture
);
