-- The firewall's radius follows the size of the galaxies, so that each exclusion by position has its own. NULL for other
-- rules, and for exclusions that were recorded with the recipe's radius.
ALTER TABLE exclusions ADD COLUMN radius_arcsec DOUBLE;
