-- The commands that made this catalogue
-- Newest first.
SELECT run, recorded_at, host, version, command
FROM runs
ORDER BY run DESC
LIMIT 20;
