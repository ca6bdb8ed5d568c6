-- The file of every network that a round has left, with its hash: of an ensemble, each member's.
SELECT file, sha256 FROM (SELECT model, 0 AS member, file, sha256 FROM models
                          UNION
                          SELECT model, member, file, sha256 FROM members)
ORDER BY model, member
