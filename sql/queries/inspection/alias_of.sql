-- Which object an image stands for.
SELECT of_object_id FROM standing_aliases_at() WHERE survey = $survey AND object_id = $object_id
