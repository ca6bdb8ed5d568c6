-- Surveys and label sources of the objects that networks were trained on up to a round.
SELECT DISTINCT survey, source FROM training WHERE role = 'training' AND round <= $at ORDER BY survey, source
