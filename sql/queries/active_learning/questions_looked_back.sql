-- Objects that were ever asked about, under the ids of then and of now.
SELECT survey, object_id FROM queue UNION SELECT survey, object_id FROM asked_at()
