-- Objects that must not be selected again: random draws, which stay open until they are answered, and objects selected
-- by the latest model. A random draw leaves out only other random draws: without the objects that a model found
-- uncertain it would be a sample of the easy ones.
SELECT DISTINCT survey, object_id FROM asked_at(2147483647)
WHERE strategy = 'random' OR (model = $model AND NOT $at_random)
