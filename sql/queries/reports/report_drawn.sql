-- A sample of scored objects, about one in $step, chosen by a hash of survey and id so that it is always the same.
SELECT survey, object_id FROM scores
WHERE model = $model AND round <= $at AND hash(survey, object_id) % $step = 0
QUALIFY row_number() OVER (ORDER BY hash(survey, object_id), survey, object_id) <= $most
