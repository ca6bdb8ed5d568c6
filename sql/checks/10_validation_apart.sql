-- No object is used for training and for validation in the same round.
SELECT format('round {}: {} {} is in training and in validation', round, survey, object_id)
FROM training GROUP BY round, survey, object_id HAVING count(*) > 1
ORDER BY ALL
