-- Objects whose predictions must stay hidden in every list: those drawn for an audit or for calibration, under their
-- ids of then and of now.
WITH drawn AS (SELECT DISTINCT survey, object_id FROM queue WHERE purpose IN ('audit', 'calibration'))
SELECT survey, object_id FROM drawn
UNION
SELECT a.survey, a.of_object_id FROM aliases AS a
SEMI JOIN drawn AS d ON d.survey = a.survey AND d.object_id = a.object_id
