-- Objects on which people do not agree now, and the label that a person or an import gave them earlier.
SELECT u.survey, u.object_id, l.label
FROM undecided AS u
JOIN standing_labels_at() AS l ON l.survey = u.survey AND l.object_id = u.object_id
WHERE l.source <> 'promoted'
ORDER BY ALL
