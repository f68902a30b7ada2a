-- A modality has at most one current feature set, and it is a finished one.
SELECT modality, count(*) AS n, count(finished_at) AS finished FROM feature_sets WHERE is_current GROUP BY modality
HAVING count(*) > 1 OR count(finished_at) < count(*);
