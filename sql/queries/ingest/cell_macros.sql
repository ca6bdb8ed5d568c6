-- Macros that read the cells of text tables. A position is in degrees, or in hours (right ascension) or degrees
-- (declination), minutes and seconds, separated by colons or blanks. 60 seconds are allowed: archives round 59.996 up.

CREATE OR REPLACE TEMP MACRO cell(written) AS
    CASE WHEN lower(trim(written)) NOT IN ('', 'nan', 'null', 'none') THEN trim(written) END;

CREATE OR REPLACE TEMP MACRO sixtieths(p) AS
    CAST(p.whole AS DOUBLE) + CAST(p.minutes AS DOUBLE) / 60 + CAST(p.seconds AS DOUBLE) / 3600;

CREATE OR REPLACE TEMP MACRO ra_degrees(written) AS
    coalesce(TRY_CAST(written AS DOUBLE), 15 * list_transform(
        [regexp_extract(written,
            '^\+?([01]?\d|2[0-4])(?:\s*:\s*|\s+)([0-5]?\d)(?:\s*:\s*|\s+)([0-5]?\d(?:\.\d*)?|60(?:\.0*)?)$',
            ['whole', 'minutes', 'seconds'])],
        lambda p: CASE WHEN p.whole <> '' THEN sixtieths(p) END)[1]);

CREATE OR REPLACE TEMP MACRO dec_degrees(written) AS
    coalesce(TRY_CAST(written AS DOUBLE), list_transform(
        [regexp_extract(written,
            '^([+-]?)(\d{1,2})(?:\s*:\s*|\s+)([0-5]?\d)(?:\s*:\s*|\s+)([0-5]?\d(?:\.\d*)?|60(?:\.0*)?)$',
            ['sign', 'whole', 'minutes', 'seconds'])],
        lambda p: CASE WHEN p.whole <> '' THEN CASE p.sign WHEN '-' THEN -1 ELSE 1 END * sixtieths(p) END)[1]);

CREATE OR REPLACE TEMP MACRO origin_strength(origin) AS
    CASE origin WHEN 'images' THEN 0 WHEN 'gz1' THEN 1 ELSE 2 END;
