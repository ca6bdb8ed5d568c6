-- Upper bounds of each text column of `catalog`, before the first row is read: the largest length in characters, and
-- whether all values are printable ASCII. The bounds come from the underlying tables, of all rounds up to $at, so rows
-- that an export leaves out count too.
WITH texts AS (
    SELECT 'survey' AS name, survey AS value FROM (SELECT DISTINCT survey FROM objects WHERE round <= $at)
    UNION ALL SELECT 'name', name FROM objects WHERE name IS NOT NULL AND round <= $at
    UNION ALL SELECT unnest(['label', 'source', 'certificate']), unnest([label, source, certificate])
              FROM (SELECT DISTINCT label, source, certificate FROM labels WHERE round <= $at)
    UNION ALL SELECT 'predicted_label', column_name[3:] FROM duckdb_columns()
              WHERE table_name = 'posteriors' AND starts_with(column_name, 'p_')
    UNION ALL SELECT 'domain', unnest(['unknown', 'no_image', 'artefact', 'in'])
    UNION ALL SELECT DISTINCT 'domain', domain FROM objects WHERE round <= $at
    UNION ALL SELECT DISTINCT 'domain', domain FROM domains WHERE round <= $at
    UNION ALL SELECT DISTINCT 'quality', quality FROM stamps WHERE round <= $at
    UNION ALL SELECT DISTINCT 'split', split FROM splits WHERE round <= $at
    UNION ALL SELECT DISTINCT 'test_set', test_set FROM test_members_at($at)
    UNION ALL SELECT 'firewall', string_agg(DISTINCT rule, ',') FROM exclusions WHERE round <= $at
)
SELECT name, greatest(1, coalesce(max(length(value)), 1)) AS width,
       coalesce(bool_and(regexp_full_match(value, '[ -~]*')), true) AS ascii
FROM texts
GROUP BY name
