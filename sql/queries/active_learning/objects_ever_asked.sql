-- All objects that were ever selected, under their ids of then and of now.
SELECT survey, object_id FROM queue UNION SELECT survey, object_id FROM asked_at()
