-- Retracted labels, and the reasons
-- By a later model, a broken audit, a rollback or a corrected image. Empty if nothing was retracted.
SELECT r.round, r.survey, r.object_id, r.label, l.round AS given_in, l.source, r.reason
FROM labels AS r
JOIN labels AS l ON l.event = r.retracts
WHERE r.kind = 'retraction'
ORDER BY r.event DESC
LIMIT 20;
