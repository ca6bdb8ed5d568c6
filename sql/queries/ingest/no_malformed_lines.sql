-- An empty table `malformed`, for formats without lines.
CREATE TEMP TABLE malformed (row BIGINT, object_id VARCHAR, reason VARCHAR)
