-- What each round decided: how many it promoted of each class and took back, in the words of its step.
SELECT round, details ->> '$.promoted' AS promoted, CAST(details ->> '$.retracted' AS BIGINT) AS retracted
FROM steps WHERE step = 'decided'
ORDER BY round
