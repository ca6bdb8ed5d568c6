-- Label events are numbered 1, 2, 3, ... without gaps or repetitions.
SELECT format('{} events, but the numbers run from {} to {}', count(*), min(event), max(event))
FROM labels
HAVING count(*) > 0 AND (min(event) <> 1 OR max(event) <> count(*) OR count(DISTINCT event) <> count(*))
