-- Macros that read the cells of tables.

CREATE OR REPLACE TEMP MACRO cell(written) AS
    CASE WHEN lower(trim(written)) NOT IN ('', 'nan', 'null', 'none') THEN trim(written) END;

-- NULL for NaN. DuckDB takes `isnan` for false where the smallest and largest value of a Parquet file do not tell of NaN.
-- Two cases take half the time of one with OR, since the second is asked of the few that are not finite.
CREATE OR REPLACE TEMP MACRO without_nan(number) AS
    CASE WHEN isfinite(number) THEN number WHEN isinf(number) THEN number END;

CREATE OR REPLACE TEMP MACRO origin_strength(origin) AS
    CASE origin WHEN 'images' THEN 0 WHEN 'gz1' THEN 1 ELSE 2 END;
