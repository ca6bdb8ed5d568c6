-- Whom people are asked about, chosen by what a network does not know or drawn at random. What was not drawn at random
-- may train and never calibrate, so the queue keeps what each object was chosen for and with which chance.

ALTER TABLE queue ADD COLUMN purpose VARCHAR;      -- 'audit', 'training' or 'calibration'
ALTER TABLE queue ADD COLUMN probability DOUBLE;   -- of being drawn; NULL where nothing was drawn at random
ALTER TABLE queue ADD COLUMN model INTEGER;        -- by whose scores or features it was chosen

UPDATE queue SET purpose = 'audit', probability = drawn.sampled / c.batch
FROM (SELECT certificate, count(*) AS sampled FROM queue GROUP BY certificate) AS drawn
JOIN certificates AS c ON c.certificate = drawn.certificate
WHERE queue.certificate = drawn.certificate;
