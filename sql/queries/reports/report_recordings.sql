-- The commands recorded until the end of a round, the latest first.
SELECT run, recorded_at, command, version, host FROM runs
WHERE coalesce(run <= (SELECT max(run) FROM steps WHERE round <= $at), true)
ORDER BY run DESC
LIMIT $most
