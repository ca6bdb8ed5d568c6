CREATE OR REPLACE TEMP TABLE pairs AS SELECT * FROM open_candidates WHERE NOT contested
