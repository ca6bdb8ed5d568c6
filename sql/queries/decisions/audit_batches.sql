-- The batches that a round was certified to promote, with their sizes.
SELECT certificate, batch FROM certificates
WHERE round = $round AND verdict = 'certified' AND batch > 0
ORDER BY certificate
