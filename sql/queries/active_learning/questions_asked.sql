-- Objects that need not be asked about again: those drawn at random, which are asked about until they are answered, and
-- those that the newest model has chosen already. A draw at random knows only of other draws: to leave out what a network
-- was in doubt about would make it a sample of the easy ones.
SELECT DISTINCT survey, object_id FROM asked_at()
WHERE strategy = 'random' OR (model = $model AND NOT $at_random)
