-- Models that do not speak: their scores are kept, but the predictions of the model before them stand in the catalogue,
-- and they promote nothing.
CREATE TABLE refusals (model INTEGER, reason VARCHAR, round INTEGER, run INTEGER);

-- Whether the network told the classes hardly better than chance, however often it was trained; NULL if not measured.
ALTER TABLE models ADD COLUMN collapsed BOOLEAN;
