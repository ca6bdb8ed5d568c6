-- The certificates that vouch for what is exported, with the last word of their audits.
SELECT c.*, coalesce(a.verdict, 'none') AS audit
FROM certificates AS c
SEMI JOIN (SELECT unnest($certificates::VARCHAR[]) AS certificate) AS e ON e.certificate = c.certificate
LEFT JOIN (SELECT certificate, arg_max(verdict, run) AS verdict FROM audits WHERE round <= $at GROUP BY certificate) AS a
    ON a.certificate = c.certificate
ORDER BY c.round, c.certificate
