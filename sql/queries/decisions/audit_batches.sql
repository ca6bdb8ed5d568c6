-- The certified batches of a round, with their sizes.
SELECT certificate, batch FROM certificates
WHERE round = $round AND verdict = 'certified' AND batch > 0
ORDER BY certificate
