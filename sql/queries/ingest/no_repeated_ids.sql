-- An empty table `repeats`, for a file whose ids are in order.
CREATE TEMP TABLE repeats (_record BIGINT, first_record BIGINT)
