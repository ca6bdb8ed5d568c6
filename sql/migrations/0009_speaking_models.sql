-- Which model's predictions stand in the catalogue after each round: that of the round itself, or of an earlier one if
-- the new one was refused, with the reason.
CREATE TABLE speakers (round INTEGER, model INTEGER, reason VARCHAR, run INTEGER);
INSERT INTO speakers SELECT model, model, NULL, min(run) FROM scorings WHERE round = model GROUP BY model;

-- Whether the network told the classes hardly better than chance, however often it was trained; NULL if not measured.
ALTER TABLE models ADD COLUMN collapsed BOOLEAN;
