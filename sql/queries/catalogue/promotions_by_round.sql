-- What each round decided: how many objects of each class it promoted, and how many promotions it retracted.
SELECT round, details ->> '$.promoted' AS promoted, CAST(details ->> '$.retracted' AS BIGINT) AS retracted
FROM steps WHERE step = 'decided'
ORDER BY round
