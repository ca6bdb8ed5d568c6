-- The most uncertain eligible objects; ties are broken by survey and id.
SELECT q.survey, q.object_id
FROM temp.eligible AS q
JOIN predictions AS p ON p.survey = q.survey AND p.object_id = q.object_id AND p.model = $model
WHERE p.predicted_confidence <= 1
ORDER BY doubt_by($strategy, p.margin, p.uncertainty, p.mutual_information) DESC, q.survey, q.object_id
LIMIT $n
