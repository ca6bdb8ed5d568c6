-- Certificates with an open audit: not broken, and with at least one standing label; or of the whole pool, whose labels
-- may all be of earlier rounds, and not undone by a rollback.
SELECT certificate FROM (
    SELECT certificate FROM labels
    WHERE kind = 'label' AND source = 'promoted' AND certificate IS NOT NULL
      AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
    UNION
    SELECT certificate FROM standing_cuts_at() WHERE certificate IS NOT NULL AND only_asserts(round))
WHERE certificate NOT IN (SELECT certificate FROM audits WHERE verdict = 'broken')
