/* The five nearest neighbours of every item that is named, by the cosine of the vectors that features_text shows.
   Equal texts have equal vectors and are shown once. features_visual and features_audio can stand in its place. */
WITH texts AS (
    SELECT item_idx, item_key, title, vector FROM features_text JOIN items USING (item_idx, item_key)
), named AS (
    FROM texts WHERE item_key IN (
        'B0189TCA7E', 'B00BXLSGHO', 'B00CHSWIVC', 'B009T8NHO0', 'B00AFJBBJK',  -- gift cards
        'B000FI3QSK', 'B001AVJ8HY', 'B003OIP6MW', 'B009C92RCE', 'B003XMWFAK')  -- baby
), others AS (
    SELECT DISTINCT ON (vector) * FROM texts ORDER BY item_idx
)
SELECT n.title AS item, o.title AS neighbour, array_cosine_similarity(n.vector, o.vector) AS likeness
FROM named AS n JOIN others AS o ON n.vector <> o.vector
QUALIFY row_number() OVER (PARTITION BY n.item_idx ORDER BY likeness DESC, o.item_idx) <= 5
ORDER BY n.item_idx, likeness DESC, o.item_idx
