-- Objects drawn for audits, and the catalogued objects that they have become aliases of since.
WITH drawn AS (SELECT DISTINCT survey, object_id FROM queue WHERE strategy = 'audit')
SELECT survey, object_id FROM drawn
UNION
SELECT a.survey, a.of_object_id FROM aliases AS a
SEMI JOIN drawn AS d ON d.survey = a.survey AND d.object_id = a.object_id
