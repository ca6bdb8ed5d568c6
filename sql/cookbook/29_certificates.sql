-- Certificates: guaranteed error rates of promotions
-- For rounds with the policy `certified`. Empty under the other policies.
SELECT round, survey, class, verdict, threshold, errors, n AS counted, batch, batch_errors AS wrong_at_most, reason
FROM certificates
ORDER BY round, survey, class;
