-- Every metric of the rounds asked for; $rounds NULL is every round.
SELECT * FROM metrics
WHERE $rounds::INTEGER[] IS NULL OR list_contains($rounds::INTEGER[], round)
ORDER BY round, test_set, survey, truth, variable NULLS FIRST, metric, coverage DESC, class, predicted, bin_low
