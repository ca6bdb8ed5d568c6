-- Every object stands in the catalogue once.
SELECT format('{} {} stands {} times', survey, object_id, count(*))
FROM standing_objects_at(2147483647) GROUP BY survey, object_id HAVING count(*) > 1
ORDER BY ALL
