-- Ids that cut the objects of a survey into parts of about the same size. Halved, as the largest id would overflow.
SELECT approx_quantile(object_id // 2, $shares::FLOAT[]) FROM objects WHERE survey = $survey
