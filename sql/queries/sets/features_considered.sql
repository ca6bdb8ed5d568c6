-- Objects among which those whose features are kept are found: all that are in a test set, calibrate or train, and of
-- the others one of so many parts, by a hash that is quick. Parts are powers of two, so that a smaller one is a part of
-- a larger one, and the sample stays the same while a survey grows to twice its size.
SELECT survey, object_id FROM splits WHERE split IN ('train', 'calibration')
UNION SELECT survey, object_id FROM test_sets
UNION SELECT survey, object_id FROM objects WHERE hash(survey, object_id) % $parts = 0
