-- The commands recorded until the end of a round, the latest first.
SELECT run, recorded_at, command, version, host FROM runs
WHERE run <= coalesce((SELECT max(run) FROM steps WHERE round <= $at), 2147483647)
ORDER BY run DESC
LIMIT $most
