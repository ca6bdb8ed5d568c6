-- Objects among which those whose features are kept are found: all that are in a test set, calibrate or train, and of
-- the others a share, by a hash that is quick. It is halved when a survey has grown to twice its size, and stays the same
-- until then.
SELECT survey, object_id FROM splits WHERE split IN ('train', 'calibration')
UNION SELECT survey, object_id FROM test_sets
UNION SELECT survey, object_id FROM objects WHERE hash(survey, object_id) < $below::UBIGINT
