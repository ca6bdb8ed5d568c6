-- Every certificate and refusal with its latest audit, the number of labels that its round promoted under it, and how many
-- of its labels stand, now or as of a round.
WITH last AS (
    SELECT certificate, arg_max(sampled, run) AS sampled, arg_max(answered, run) AS answered,
           arg_max(wrong, run) AS wrong, arg_max(batch_bound, run) AS audited_bound, arg_max(verdict, run) AS audit
    FROM audits WHERE $at IS NULL OR round <= $at GROUP BY certificate),
standing AS (
    SELECT certificate, count(*) AS standing FROM standing_labels_at(coalesce($at, now_round()))
    WHERE source = 'promoted' AND certificate IS NOT NULL GROUP BY certificate),
given AS (
    SELECT certificate, round, count(*) AS promoted FROM labels
    WHERE source = 'promoted' AND kind = 'label' AND certificate IS NOT NULL GROUP BY certificate, round)
SELECT c.round, c.certificate, c.survey, c.class, c.verdict, c.reason, c.n, c.errors, c.threshold, c.share, c.weighted,
       c.alpha, c.delta, c.delta_spent, c.population_bound, c.batch, c.batch_errors, c.batch_bound,
       coalesce(g.promoted, 0) AS promoted,
       coalesce(s.standing, 0) AS standing, a.audit, a.sampled, a.answered, a.wrong, a.audited_bound
FROM certificates AS c
LEFT JOIN last AS a ON a.certificate = c.certificate
LEFT JOIN standing AS s ON s.certificate = c.certificate
LEFT JOIN given AS g ON g.certificate = c.certificate AND g.round = c.round
WHERE ($round IS NULL OR c.round = $round) AND ($at IS NULL OR c.round <= $at)
ORDER BY c.round, c.class
