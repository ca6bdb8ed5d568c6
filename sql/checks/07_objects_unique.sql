-- Every object has exactly one current row.
-- Object by object.
SELECT format('{} {} has {} current rows', o.survey, o.object_id, count(*))
FROM objects AS o
ANTI JOIN revisions AS r
    ON r.table_name = 'objects' AND r.survey = o.survey AND r.object_id = o.object_id AND r.replaced_run = o.run
GROUP BY o.survey, o.object_id HAVING count(*) > 1
ORDER BY ALL
