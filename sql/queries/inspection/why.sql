-- Everything that was recorded for one object, oldest first: (round, what, detail).
SELECT round, what, detail FROM (
    SELECT round, run, 1 AS place, CASE WHEN row_number() OVER (ORDER BY run) = 1 THEN 'ingested' ELSE 'revised' END AS what,
           coalesce(format('at ra {:.6f}, dec {:.6f} deg', ra, dec), 'without a position')
           || CASE WHEN origin <> 'images' THEN format(', from a {} catalogue', origin) ELSE '' END AS detail
    FROM objects WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 2, 'votes',
           coalesce(format('{} volunteers: elliptical {:.3f}, spiral {:.3f}; debiased {:.3f}, {:.3f}',
                           nvote, p_el, p_cs, p_el_debiased, p_cs_debiased), 'not all of them are known')
    FROM galaxy_zoo WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT d.round, d.run, 2, 'domain', d.domain || ' of the population ' || p.population || coalesce(': ' || d.reason, '')
    FROM domains AS d JOIN populations AS p ON p.survey = d.survey AND p.run = d.run
    WHERE d.survey = $survey AND d.object_id = $object_id
    UNION ALL
    SELECT round, run, 2, 'identified',
           format('is the image of {} {}, {:.2f} arcsec away, and stands for it', survey, of_object_id, separation_arcsec)
    FROM aliases WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 2, 'identified', format('shown by image {}, {:.2f} arcsec away', object_id, separation_arcsec)
    FROM aliases WHERE survey = $survey AND of_object_id = $object_id
    UNION ALL
    SELECT round, run, 2, 'match', format('matched with {} {} at {:.2f} arcsec', other, other_id, separation_arcsec)
    FROM (
        SELECT round, run, survey_b AS other, object_id_b AS other_id, separation_arcsec
        FROM standing_matches_at() WHERE survey_a = $survey AND object_id_a = $object_id
        UNION ALL
        SELECT round, run, survey_a, object_id_a, separation_arcsec
        FROM standing_matches_at() WHERE survey_b = $survey AND object_id_b = $object_id)
    UNION ALL
    SELECT round, run, 3, 'stamp', format('{} ({}), {} x {} px, quality {}, sha256 {}...', file, rendering, width_px,
           height_px, quality, sha256[:12]) || coalesce(': ' || reason, '')
    FROM stamps WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 4, 'split', split FROM splits WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 5, 'test set', 'member of ' || test_set || ': never trained on, never promoted'
    FROM test_sets WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT round, run, 6, 'firewall', 'may be ' || test_survey || ' ' || test_object_id || ' of ' || test_set || ' by ' || rule
           || coalesce(format(', {:.2f} arcsec away', separation_arcsec), '')
           || coalesce(format(' and within {:.1f}', radius_arcsec), '')
           || coalesce(format(', likeness {:.3f}', similarity), '') || ': never trained on, never promoted'
    FROM exclusions WHERE survey = $survey AND object_id = $object_id
    UNION ALL
    SELECT t.round, t.run, 7, t.role,
           CASE t.role WHEN 'teaching'
                THEN format('its image taught round {} as {}, by the model of round {}{}; nobody asserts that', t.round,
                            t.label, r.plan ->> '$.teacher', coalesce(format(' ({:.2f})', p.predicted_confidence), ''))
                ELSE 'as ' || t.label || ' (' || t.source || ')' END || ', recipe ' || r.recipe || ', seed ' || r.seed
    FROM training AS t JOIN rounds AS r ON r.round = t.round
    LEFT JOIN predictions AS p ON p.survey = t.survey AND p.object_id = t.object_id
        AND p.model = CAST(r.plan ->> '$.teacher' AS INTEGER)
    WHERE t.survey = $survey AND t.object_id = $object_id
    UNION ALL
    SELECT p.round, p.run, 8, 'scored',
           format('{} at {:.4f} by the model of round {} (sha256 {}...)', p.predicted_label, p.predicted_confidence,
                  p.model, m.sha256[:12])
           || coalesce(format(', mean of {} networks, which disagree by {:.4f} nats', e.networks, p.mutual_information), '')
    FROM predictions AS p JOIN models AS m ON m.model = p.model
    LEFT JOIN (SELECT model, count(*) AS networks FROM members GROUP BY model) AS e ON e.model = p.model
    WHERE p.survey = $survey AND p.object_id = $object_id
    UNION ALL
    SELECT round, run, 9, CASE kind WHEN 'label' THEN 'label' WHEN 'unsure' THEN 'looked at' ELSE 'label retracted' END,
           'event ' || event || ': ' || coalesce(label, 'not sure') || ' from ' || source || coalesce(' (' || annotator || ')', '')
           || coalesce(format(', confidence {:.4f}', confidence), '') || coalesce(': ' || reason, '')
    FROM labels WHERE survey = $survey AND object_id = $object_id)
ORDER BY run, place, detail
