-- The model file of every round with its hash; for an ensemble, of each member. A network of an earlier round may be a
-- member of several.
SELECT file, sha256 FROM (SELECT model, 0 AS member, file, sha256 FROM models
                          UNION
                          SELECT model, member, file, sha256 FROM members)
GROUP BY file, sha256
ORDER BY min(model), min(member)
