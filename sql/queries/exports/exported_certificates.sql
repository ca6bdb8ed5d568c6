-- Certificates of the standing promotions, with the latest verdict of their audits.
SELECT c.*, coalesce(a.verdict, 'none') AS audit
FROM certificates AS c
SEMI JOIN (
    SELECT l.certificate FROM labels AS l
    ANTI JOIN (SELECT retracts FROM labels WHERE kind = 'retraction' AND round <= $at) AS r ON r.retracts = l.event
    WHERE l.kind = 'label' AND l.certificate IS NOT NULL AND l.round <= $at) AS e ON e.certificate = c.certificate
LEFT JOIN (SELECT certificate, arg_max(verdict, run) AS verdict FROM audits WHERE round <= $at GROUP BY certificate) AS a
    ON a.certificate = c.certificate
ORDER BY c.round, c.certificate
