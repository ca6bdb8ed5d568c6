-- The model file of every round with its hash; for an ensemble, of each member.
SELECT file, sha256 FROM (SELECT model, 0 AS member, file, sha256 FROM models
                          UNION
                          SELECT model, member, file, sha256 FROM members)
ORDER BY model, member
