CREATE TEMP TABLE repeats (_record BIGINT, first_record BIGINT)
