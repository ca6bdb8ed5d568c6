-- The catalogued object of which an object is an image.
SELECT of_object_id FROM standing_aliases_at() WHERE survey = $survey AND object_id = $object_id
