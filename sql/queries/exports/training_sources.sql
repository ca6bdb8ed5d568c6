-- Surveys whose objects networks were trained on up to a round, and who gave those labels.
SELECT DISTINCT survey, source FROM training WHERE role = 'training' AND round <= $at ORDER BY survey, source
