-- Certificates with an open audit: not broken, and with at least one standing label.
SELECT DISTINCT certificate FROM labels
WHERE kind = 'label' AND source = 'promoted' AND certificate IS NOT NULL
  AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)
  AND certificate NOT IN (SELECT certificate FROM audits WHERE verdict = 'broken')
