-- The volunteers' labels of training and calibration galaxies, in both surveys, as label events.
SELECT survey, object_id, 'label' AS kind, truth AS label, votes AS confidence, 'galaxy_zoo' AS source,
       'Galaxy Zoo 1, Table 2' AS annotator, NULL AS model, NULL AS certificate, reason, NULL AS retracts
FROM (
    SELECT $labelled AS survey, object_id, truth, votes,
           format('{} volunteers; raw majority {}', coalesce(nvote::VARCHAR, 'an unknown number of'), coalesce(raw_majority, 'none')) AS reason
    FROM clean
    UNION ALL
    SELECT $labelled, labelled_id, truth, votes,
           format('volunteers; raw majority {}', coalesce(raw_majority, 'none'))
    FROM drawn
    UNION ALL
    SELECT $target, target_id, truth, votes,
           format('volunteers, on its counterpart {} {}', $labelled, labelled_id)
    FROM drawn)
WHERE truth IS NOT NULL
ORDER BY survey, object_id
