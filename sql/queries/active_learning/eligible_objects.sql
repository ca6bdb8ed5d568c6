-- Objects that can be selected for labelling: in the pool and the target population, with a good stamp, not excluded by
-- the firewall, without a label (a promoted one does not count with $promoted_too), and not selected already.
SELECT c.survey, c.object_id
FROM places_at() AS c
ANTI JOIN (SELECT survey, object_id FROM standing_labels_at() WHERE NOT ($promoted_too AND source = 'promoted')) AS l
    ON l.survey = c.survey AND l.object_id = c.object_id
ANTI JOIN temp.asked AS a ON a.survey = c.survey AND a.object_id = c.object_id
WHERE c.split = 'pool' AND c.domain = 'in' AND c.test_set IS NULL AND c.firewall IS NULL
  AND ($survey IS NULL OR c.survey = $survey)
