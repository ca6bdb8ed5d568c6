-- Macros that read positions written as texts. A position is in degrees, or in hours (right ascension) or degrees
-- (declination), minutes and seconds, separated by colons or blanks, or by the letters h or d, m, s, or by the signs for
-- degrees and minutes. 60 seconds are allowed: archives round 59.996 up. `catbuilder/core/coordinates.py` reads the same.

CREATE OR REPLACE TEMP MACRO sixtieths(p) AS
    CASE p.sign WHEN '-' THEN -1 ELSE 1 END
    * (CAST(p.whole AS DOUBLE) + CAST(p.minutes AS DOUBLE) / 60 + CAST(p.seconds AS DOUBLE) / 3600);

-- 10:30:15.2 or 10 30 15.2, in the unit of its first number, which may be at most `largest`.
CREATE OR REPLACE TEMP MACRO separated(written, largest) AS
    list_transform(
        [regexp_extract(written,
            '^([+-]?)(\d{1,3})(?:\s*:\s*|\s+)([0-5]?\d)(?:\s*:\s*|\s+)([0-5]?\d(?:\.\d*)?|60(?:\.0*)?)$',
            ['sign', 'whole', 'minutes', 'seconds'])],
        lambda p: CASE WHEN p.whole <> '' AND CAST(p.whole AS INTEGER) <= largest THEN sixtieths(p) END)[1];

CREATE OR REPLACE TEMP MACRO plain_signs(written) AS
    replace(translate(lower(trim(written)), '−–ʰᵐˢ°º′’''″”"', '--hmsddmmmsss'), 'mm', 's');

-- Degrees of 10.5h, 10h30.5m or 10h30m15.2s, with h or d; `hour` is the degrees in an hour, NULL for a declination.
CREATE OR REPLACE TEMP MACRO lettered(written, hour) AS
    list_transform(
        [regexp_extract(written,
            '^([+-]?)(?:(\d{1,3}(?:\.\d*)?)\s*(h|hrs?|hours?|d|deg|degrees?)'
            || '|(\d{1,3})\s*(h|hrs?|hours?|d|deg|degrees?)\s*'
            || '(?:([0-5]?\d(?:\.\d*)?)\s*m|([0-5]?\d)\s*m\s*([0-5]?\d(?:\.\d*)?|60(?:\.0*)?)\s*s?))$',
            ['sign', 'whole', 'unit', 'whole2', 'unit2', 'minutes', 'minutes2', 'seconds'])],
        lambda p: CASE WHEN p.unit || p.unit2 <> '' AND (p.unit || p.unit2 LIKE 'd%' OR CAST(p.whole || p.whole2 AS DOUBLE) < 25)
            THEN CASE WHEN p.unit || p.unit2 LIKE 'd%' THEN 1 ELSE hour END
                 * sixtieths({'sign': p.sign, 'whole': p.whole || p.whole2,
                              'minutes': coalesce(nullif(p.minutes || p.minutes2, ''), '0'),
                              'seconds': coalesce(nullif(p.seconds, ''), '0')}) END)[1];

CREATE OR REPLACE TEMP MACRO sexagesimal_ra(written) AS
    coalesce(15 * separated(written, 24), 15 * separated(plain_signs(written), 24), lettered(plain_signs(written), 15),
             TRY_CAST(plain_signs(written) AS DOUBLE));

CREATE OR REPLACE TEMP MACRO sexagesimal_dec(written) AS
    coalesce(separated(written, 999), separated(plain_signs(written), 999), lettered(plain_signs(written), NULL),
             TRY_CAST(plain_signs(written) AS DOUBLE));
