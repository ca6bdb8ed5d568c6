-- Agreement of each model with the one before
-- Share of the objects scored by both that got the same class. Empty before the second round.
SELECT later.model AS round, count(*) AS objects,
       round(avg((later.predicted_label = earlier.predicted_label)::INTEGER), 4) AS same_class
FROM predictions AS later
JOIN predictions AS earlier
    ON earlier.survey = later.survey AND earlier.object_id = later.object_id AND earlier.model = later.model - 1
GROUP BY later.model
ORDER BY later.model;
