-- Items with several contents in a feature set: the mean of their vectors, computed once, because computing it at each read takes
-- seconds. A mean is shown only while its item still points at exactly the contents that it was made of.
CREATE TABLE item_means (
    feature_set_id INTEGER NOT NULL,
    item_idx INTEGER NOT NULL,
    n INTEGER NOT NULL,                      -- contents averaged, one that is there twice counted twice
    contents HUGEINT NOT NULL,               -- which: the sum of md5_number_lower of their digests
    vector FLOAT[] NOT NULL
);
