-- Scored objects drawn by a hash of their name: about one in $step, the same ones whenever it is asked.
SELECT survey, object_id FROM scores
WHERE model = $model AND round <= $at AND hash(survey, object_id) % $step = 0
QUALIFY row_number() OVER (ORDER BY hash(survey, object_id), survey, object_id) <= $most
