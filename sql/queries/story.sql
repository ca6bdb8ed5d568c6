-- Everything that was recorded of one object, oldest first: (round, what, detail).
SELECT round, what, detail FROM (
    SELECT round, run, 1 AS place, 'ingested' AS what,
           coalesce(format('at ra {:.6f}, dec {:.6f} deg', ra, dec), 'without a position') AS detail
    FROM objects WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 2, 'stamp', format('{} ({}), {} x {} px, quality {}, sha256 {}...', file, rendering, width_px,
           height_px, quality, sha256[:12]) || coalesce(': ' || reason, '')
    FROM stamps WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 3, 'split', split FROM splits WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 4, 'test set', 'member of ' || test_set || ': never trained on, never promoted'
    FROM test_sets WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 5, 'firewall', 'may be ' || test_survey || ' ' || test_object_id || ' of ' || test_set || ' by ' || rule
           || coalesce(format(', {:.2f} arcsec away', separation_arcsec), '')
           || coalesce(format(', likeness {:.3f}', similarity), '') || ': never trained on, never promoted'
    FROM exclusions WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT t.round, t.run, 6, t.role, 'as ' || t.label || ' (' || t.source || '), recipe ' || r.recipe || ', seed ' || r.seed
    FROM training AS t JOIN rounds AS r ON r.round = t.round
    WHERE t.survey = $survey AND t.object_id = $object_id
    UNION ALL
    SELECT p.round, p.run, 7, 'scored',
           format('{} at {:.4f} by the model of round {} (sha256 {}...)', p.predicted_label, p.predicted_confidence,
                  p.model, m.sha256[:12])
    FROM predictions AS p JOIN models AS m ON m.model = p.model
    WHERE p.survey = $survey AND p.object_id = $object_id
    UNION ALL
    SELECT round, run, 8, CASE kind WHEN 'label' THEN 'label' ELSE 'label retracted' END,
           'event ' || event || ': ' || label || ' from ' || source || coalesce(' (' || annotator || ')', '')
           || coalesce(format(', confidence {:.4f}', confidence), '') || coalesce(': ' || reason, '')
    FROM labels WHERE survey = $survey AND object_id = $object_id)
ORDER BY run, place, detail
