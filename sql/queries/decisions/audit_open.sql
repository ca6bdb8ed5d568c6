-- Open the audits of a round, without answers and with the bounds of their certificates.
INSERT INTO audits BY NAME
SELECT c.certificate, count(*) AS sampled, 0 AS answered, 0 AS wrong, any_value(c.batch_bound) AS batch_bound,
       'open' AS verdict, $round AS round, $run AS run
FROM queue AS q
JOIN certificates AS c ON c.certificate = q.certificate
WHERE q.strategy = 'audit' AND q.round = $round
GROUP BY c.certificate
ORDER BY c.certificate
