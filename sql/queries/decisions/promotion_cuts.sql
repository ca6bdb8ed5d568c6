-- The lowest raw confidence promoted of each class.
SELECT CAST(NULL AS VARCHAR) AS survey, label AS class, 'raw' AS score, min(confidence)::FLOAT AS threshold, 1.0::DOUBLE AS share, CAST(NULL AS VARCHAR) AS certificate
FROM temp.promotions GROUP BY label ORDER BY label
