CREATE TEMP TABLE malformed (row BIGINT, object_id VARCHAR, reason VARCHAR)
