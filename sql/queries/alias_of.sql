-- Which object an image stands for.
SELECT of_object_id FROM aliases WHERE survey = $survey AND object_id = $object_id
