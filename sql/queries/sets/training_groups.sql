-- The group of each candidate that must not be split, and whether the candidate validates: as its split says, or because
-- its group was drawn and its label is more than a promotion.
SELECT c.rowid AS place, coalesce(p.part, u.part) AS part,
       c.split = 'validation'
           OR (c.split = 'train' AND c.source <> 'promoted' AND coalesce(p.drawn, u.drawn)) AS validates
FROM temp.candidates AS c
LEFT JOIN sky_groups AS p ON p.cell = CASE WHEN c.healpix < 0 THEN -1 ELSE c.healpix >> $shift END
LEFT JOIN unplaced_groups AS u ON u.place = c.rowid
