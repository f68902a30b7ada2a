-- Users are numbered 0 .. n-1 and their keys are unique.
SELECT user_idx, user_key FROM (
    SELECT user_idx, user_key, row_number() OVER (ORDER BY user_idx) - 1 AS expected, count(*) OVER (PARTITION BY user_key) AS n FROM users
) WHERE user_idx <> expected OR n > 1;
