-- Objects to label, selected by the network's uncertainty or drawn at random. Only objects drawn at random may
-- calibrate, the others may only train, so the queue stores the purpose and the probability of each.

ALTER TABLE queue ADD COLUMN purpose VARCHAR;      -- 'audit', 'training' or 'calibration'
ALTER TABLE queue ADD COLUMN probability DOUBLE;   -- of being drawn; NULL where nothing was drawn at random
ALTER TABLE queue ADD COLUMN model INTEGER;        -- by whose scores or features it was chosen

UPDATE queue SET purpose = 'audit', probability = drawn.sampled / c.batch
FROM (SELECT certificate, count(*) AS sampled FROM queue GROUP BY certificate) AS drawn
JOIN certificates AS c ON c.certificate = drawn.certificate
WHERE queue.certificate = drawn.certificate;
