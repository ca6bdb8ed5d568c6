-- Record exclusions by the firewall.
INSERT INTO exclusions BY NAME
SELECT i.*, $round AS round, $run AS run FROM incoming AS i
ORDER BY i.survey, i.object_id, i.rule
