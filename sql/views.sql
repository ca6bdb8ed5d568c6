-- Views and macros. They are applied again after every migration, and when this text has changed.
-- The argument `at_round` reads the catalogue as it was when that round closed: no row of a later round is seen, so the
-- answer never changes afterwards. Without it, `standing_labels_at()` reads the catalogue as it is now.

-- The default of `at_round`: a number above that of every round.
CREATE OR REPLACE MACRO now_round() AS 2147483647;

-- human > galaxy_zoo > imported > promoted
CREATE OR REPLACE MACRO source_strength(source) AS
    CASE source WHEN 'human' THEN 4 WHEN 'galaxy_zoo' THEN 3 WHEN 'imported' THEN 2 WHEN 'promoted' THEN 1 END;

-- The standing label: the highest event of the strongest source that was not retracted.
CREATE OR REPLACE MACRO standing_labels_at(at_round := now_round()) AS TABLE
    SELECT l.survey, l.object_id, l.event, l.label, l.confidence, l.source, l.annotator, l.model,
           l.certificate, l.reason, l.round AS label_round
    FROM labels AS l
    ANTI JOIN (SELECT retracts FROM labels WHERE kind = 'retraction' AND round <= at_round) AS r
        ON l.event = r.retracts
    WHERE l.kind = 'label' AND l.round <= at_round
    QUALIFY row_number() OVER (
        PARTITION BY l.survey, l.object_id ORDER BY source_strength(l.source) DESC, l.event DESC) = 1;

-- The valid rows of `objects`: without rows that a newer one replaces, and without images that show a catalogued
-- object. If a catalogue later contains the image's own id, the image is that object again.
CREATE OR REPLACE MACRO standing_objects_at(at_round := now_round()) AS TABLE
    SELECT * FROM (SELECT * FROM objects WHERE round <= at_round) AS o
    ANTI JOIN (SELECT survey, object_id, replaced_run FROM revisions
               WHERE table_name = 'objects' AND round <= at_round) AS r
        ON r.survey = o.survey AND r.object_id = o.object_id AND r.replaced_run = o.run
    ANTI JOIN (SELECT survey, object_id FROM aliases WHERE round <= at_round) AS a
        ON a.survey = o.survey AND a.object_id = o.object_id AND o.origin = 'images';

-- Images that show a catalogued object, unless a catalogue contains the image's own id.
CREATE OR REPLACE MACRO standing_aliases_at(at_round := now_round()) AS TABLE
    SELECT * FROM (SELECT * FROM aliases WHERE round <= at_round) AS a
    ANTI JOIN (SELECT survey, object_id FROM objects WHERE origin <> 'images' AND round <= at_round) AS c
        ON c.survey = a.survey AND c.object_id = a.object_id;

CREATE OR REPLACE MACRO standing_votes_at(at_round := now_round()) AS TABLE
    SELECT * FROM (SELECT * FROM galaxy_zoo WHERE round <= at_round) AS g
    ANTI JOIN (SELECT survey, object_id, replaced_run FROM revisions
               WHERE table_name = 'galaxy_zoo' AND round <= at_round) AS r
        ON r.survey = g.survey AND r.object_id = g.object_id AND r.replaced_run = g.run;

-- The pairs of the latest cross-match of each two surveys.
CREATE OR REPLACE MACRO standing_matches_at(at_round := now_round()) AS TABLE
    SELECT m.* FROM matches AS m
    JOIN (SELECT survey_a, survey_b, max(run) AS run FROM crossmatches WHERE round <= at_round GROUP BY ALL) AS c
        ON c.survey_a = m.survey_a AND c.survey_b = m.survey_b AND c.run = m.run;

CREATE OR REPLACE MACRO standing_domains_at(at_round := now_round()) AS TABLE
    SELECT d.* FROM domains AS d
    JOIN (SELECT survey, max(run) AS run FROM populations WHERE round <= at_round GROUP BY ALL) AS p
        ON p.survey = d.survey AND p.run = d.run;

CREATE OR REPLACE MACRO standing_stamps_at(at_round := now_round()) AS TABLE
    SELECT * FROM (SELECT * FROM stamps WHERE round <= at_round) AS s
    ANTI JOIN (SELECT survey, object_id, replaced_run FROM revisions
               WHERE table_name = 'stamps' AND round <= at_round) AS r
        ON r.survey = s.survey AND r.object_id = s.object_id AND r.replaced_run = s.run;

CREATE OR REPLACE MACRO standing_splits_at(at_round := now_round()) AS TABLE
    SELECT * FROM (SELECT * FROM splits WHERE round <= at_round) AS s
    ANTI JOIN (SELECT survey, object_id, replaced_run FROM revisions
               WHERE table_name = 'splits' AND round <= at_round) AS r
        ON r.survey = s.survey AND r.object_id = s.object_id AND r.replaced_run = s.run;

-- The model that speaks, whose predictions stand: the newest that was not refused.
CREATE OR REPLACE MACRO speaker_at(at_round := now_round()) AS
    coalesce((SELECT max(model) FROM scorings
              WHERE round <= at_round AND model NOT IN (SELECT model FROM refusals WHERE round <= at_round)),
             (SELECT max(model) FROM scorings WHERE round <= at_round));

-- Objects whose standing prediction may be another model's than the speaking one's: their image was rejected or assigned
-- to another object after an older model scored it, or `score` had another model score objects ingested later.
CREATE OR REPLACE MACRO strays_at(at_round := now_round()) AS TABLE
    SELECT survey, object_id FROM stamps WHERE quality <> 'ok' AND round <= at_round
    UNION SELECT survey, object_id FROM aliases WHERE round <= at_round
    -- later recordings of another model, but not of a round that does not speak, which scored everything there was
    UNION SELECT s.survey, s.object_id FROM scores AS s
    SEMI JOIN (SELECT model, run FROM scorings WHERE round <= at_round
               QUALIFY model <> speaker_at(at_round) AND model <> round
                   AND run > max(run) FILTER (model = round AND model = speaker_at(at_round)) OVER ()) AS late
        ON late.model = s.model AND late.run = s.run;

-- The standing prediction of each object: that of the speaking model. Every round scores all objects with a good image,
-- so that this is the one for nearly all; ranking the scores of every object would sort 1e9 rows. A model scores an
-- object once.
CREATE OR REPLACE MACRO latest_predictions_at(at_round := now_round()) AS TABLE
    SELECT * FROM predictions AS p
    SEMI JOIN (SELECT speaker_at(at_round) AS model) AS speaking ON speaking.model = p.model
    ANTI JOIN strays_at(at_round) AS s ON s.survey = p.survey AND s.object_id = p.object_id
    WHERE p.round <= at_round
    UNION ALL
    SELECT * FROM (
        SELECT * FROM predictions AS p
        SEMI JOIN strays_at(at_round) AS s ON s.survey = p.survey AND s.object_id = p.object_id
        WHERE p.round <= at_round
        QUALIFY row_number() OVER (PARTITION BY p.survey, p.object_id
                                   ORDER BY p.model = speaker_at(at_round) DESC, p.model DESC, p.round DESC) = 1);

CREATE OR REPLACE MACRO test_members_at(at_round := now_round()) AS TABLE
    SELECT survey, object_id, string_agg(test_set, ',' ORDER BY test_set) AS test_set, max(votes) AS votes
    FROM test_sets WHERE round <= at_round GROUP BY survey, object_id;

CREATE OR REPLACE MACRO exclusions_at(at_round := now_round()) AS TABLE
    SELECT survey, object_id, string_agg(DISTINCT rule, ',' ORDER BY rule) AS firewall
    FROM exclusions WHERE round <= at_round GROUP BY survey, object_id;

-- One row for each object: its set, and what excludes it. `catalog_at` without labels and scores, which take most time.
CREATE OR REPLACE MACRO places_at(at_round := now_round()) AS TABLE
    SELECT o.survey, o.object_id, o.name, o.ra, o.dec, o.mag_g, o.mag_r, o.mag_i, o.radius_arcsec,
           CASE WHEN coalesce(w.domain, o.domain) <> 'in' THEN coalesce(w.domain, o.domain)
                -- catalogued after the population was applied, so that its domain is not known yet
                WHEN w.domain IS NULL AND o.origin <> 'images' AND q.survey IS NOT NULL THEN 'unknown'
                WHEN s.object_id IS NULL THEN 'no_image'
                WHEN s.quality <> 'ok' THEN 'artefact'
                ELSE 'in' END AS domain,
           s.quality, d.split, t.test_set, t.votes AS test_votes, x.firewall
    FROM standing_objects_at(at_round) AS o
    LEFT JOIN standing_domains_at(at_round) AS w ON w.survey = o.survey AND w.object_id = o.object_id
    LEFT JOIN (SELECT DISTINCT survey FROM populations WHERE round <= at_round) AS q ON q.survey = o.survey
    LEFT JOIN standing_stamps_at(at_round) AS s ON s.survey = o.survey AND s.object_id = o.object_id
    LEFT JOIN standing_splits_at(at_round) AS d ON d.survey = o.survey AND d.object_id = o.object_id
    LEFT JOIN test_members_at(at_round) AS t ON t.survey = o.survey AND t.object_id = o.object_id
    LEFT JOIN exclusions_at(at_round) AS x ON x.survey = o.survey AND x.object_id = o.object_id;

-- The catalogue: one row for each object. The true class of a test object is never shown as its label.
CREATE OR REPLACE MACRO catalog_at(at_round := now_round()) AS TABLE
    SELECT o.survey, o.object_id, o.name, o.ra, o.dec, o.mag_g, o.mag_r, o.mag_i, o.radius_arcsec,
           CASE WHEN o.test_set IS NULL THEN l.label END AS label,
           CASE WHEN o.test_set IS NULL THEN l.source END AS source,
           CASE WHEN o.test_set IS NULL THEN l.label_round END AS label_round,
           CASE WHEN o.test_set IS NULL THEN l.confidence END AS confidence,
           CASE WHEN o.test_set IS NULL THEN l.certificate END AS certificate,
           p.predicted_label, p.predicted_confidence, p.calibrated_confidence, COLUMNS('^p_'), p.uncertainty,
           p.mutual_information, p.model, p.round AS scored_round,
           o.domain, o.quality, o.split, o.test_set, coalesce(o.test_votes, g.votes) AS votes, o.firewall,
           m.object_id IS NOT NULL AS in_training
    FROM places_at(at_round) AS o
    LEFT JOIN (SELECT survey, object_id, greatest(p_el_debiased, p_cs_debiased) AS votes
               FROM standing_votes_at(at_round)) AS g ON g.survey = o.survey AND g.object_id = o.object_id
    LEFT JOIN standing_labels_at(at_round) AS l ON l.survey = o.survey AND l.object_id = o.object_id
    LEFT JOIN latest_predictions_at(at_round) AS p ON p.survey = o.survey AND p.object_id = o.object_id
    LEFT JOIN (SELECT survey, object_id FROM training
               WHERE role = 'training'
                 AND round = (SELECT max(round) FROM rounds WHERE round <= at_round)) AS m
        ON m.survey = o.survey AND m.object_id = o.object_id;

CREATE OR REPLACE VIEW catalog AS SELECT * FROM catalog_at();

-- The columns of `objects` and the archive's own measurements, under the archive's names. The SQL of a target
-- population reads this.
CREATE OR REPLACE VIEW des_sources AS
    SELECT o.* EXCLUDE (domain, round, run), d.* EXCLUDE (survey, object_id, round, run)
    FROM standing_objects_at() AS o
    JOIN (SELECT * FROM des_coadd AS c
          ANTI JOIN (SELECT survey, object_id, replaced_run FROM revisions WHERE table_name = 'des_coadd') AS r
              ON r.survey = c.survey AND r.object_id = c.object_id AND r.replaced_run = c.run) AS d
        ON d.survey = o.survey AND d.object_id = o.object_id;

CREATE OR REPLACE VIEW sdss_sources AS
    SELECT o.* EXCLUDE (domain, round, run), d.* EXCLUDE (survey, object_id, round, run)
    FROM standing_objects_at() AS o
    JOIN (SELECT * FROM sdss_photoobj AS c
          ANTI JOIN (SELECT survey, object_id, replaced_run FROM revisions WHERE table_name = 'sdss_photoobj') AS r
              ON r.survey = c.survey AND r.object_id = c.object_id AND r.replaced_run = c.run) AS d
        ON d.survey = o.survey AND d.object_id = o.object_id;

-- Every plan of every round: the first, and those that replaced it while the round was unfinished.
CREATE OR REPLACE VIEW plans AS
    SELECT p.*, u.recorded_at AS planned_at
    FROM (SELECT round, 1 AS number, ranks, threads, coalesce(plan ->> '$.hosts', '') AS hosts,
                 NULL::VARCHAR AS after_step, run FROM rounds
          UNION ALL SELECT round, number, ranks, threads, hosts, after_step, run FROM replans) AS p
    JOIN runs AS u ON u.run = p.run;

-- The state of each round: its last recorded step, by recording number, since a clock may be set back.
CREATE OR REPLACE VIEW round_status AS
    SELECT r.round, r.recipe, r.seed,
           (SELECT arg_max(p.ranks, p.number) FROM plans AS p WHERE p.round = r.round) AS ranks, arg_max(s.step, s.run) AS step,
           min(s.recorded_at) AS planned_at, max(s.recorded_at) AS last_step_at,
           (SELECT any_value(f.reason) FROM refusals AS f WHERE f.model = r.round) AS refused
    FROM rounds AS r JOIN steps AS s ON s.round = r.round
    GROUP BY r.round, r.recipe, r.seed;

-- Objects whose class the round's model may tell: scored by it, labelled by nobody, in the pool and the target
-- population. `label` is an earlier promotion. An object whose sets or image changed while the round ran, before the
-- recording `until_run`, is left to the next round. A new label does not exclude it: a person's label is stronger than a
-- promoted one anyway.
CREATE OR REPLACE MACRO unlabelled_pool_at(at_round, until_run) AS TABLE
    SELECT c.survey, c.object_id, c.label, c.predicted_label, c.predicted_confidence, c.calibrated_confidence, c.model
    FROM catalog_at(at_round) AS c
    ANTI JOIN (
        SELECT survey, object_id FROM test_sets WHERE round > at_round AND run < until_run
        UNION ALL SELECT survey, object_id FROM exclusions WHERE round > at_round AND run < until_run
        UNION ALL SELECT survey, object_id FROM splits WHERE round > at_round AND run < until_run
        UNION ALL SELECT survey, object_id FROM stamps WHERE round > at_round AND run < until_run
        UNION ALL SELECT survey, object_id FROM aliases WHERE round > at_round AND run < until_run
        UNION ALL SELECT survey, object_id FROM domains WHERE round > at_round AND run < until_run AND domain <> 'in') AS n
        ON n.survey = c.survey AND n.object_id = c.object_id
    WHERE (c.label IS NULL OR c.source = 'promoted')
      AND c.split = 'pool' AND c.domain = 'in' AND c.test_set IS NULL AND c.firewall IS NULL
      AND c.model = at_round
      AND c.predicted_confidence <= 1;  -- false for a NaN, which DuckDB sorts above every number

-- Objects that the round may promote.
CREATE OR REPLACE MACRO promotable_at(at_round) AS TABLE
    SELECT * EXCLUDE (label) FROM unlabelled_pool_at(at_round, now_round()) WHERE label IS NULL;

-- Number of a confidence bin; bins are narrow near 1, where most confidences are.
CREATE OR REPLACE MACRO confidence_step(confidence) AS CAST(-1000 * ln(1.0000001::DOUBLE - confidence) AS INTEGER);

-- How uncertain the model is by a selection strategy; the largest values are selected first.
CREATE OR REPLACE MACRO doubt_by(strategy, margin, uncertainty, mutual_information) AS
    CASE strategy WHEN 'margin' THEN 1 - margin WHEN 'entropy' THEN uncertainty ELSE mutual_information END;

-- A random number in [0, 1) that depends only on the object and the purpose, not on the seed.
CREATE OR REPLACE MACRO uniform_draw(purpose, survey, object_id) AS
    md5_number_lower(purpose || ' ' || survey || ' ' || object_id) / 18446744073709551616.0;

-- Rounds whose model speaks or spoke, and that no later `rollback` has undone.
CREATE OR REPLACE MACRO standing_speakers() AS TABLE
    SELECT s.model FROM scorings AS s
    ANTI JOIN refusals AS f ON f.model = s.model
    WHERE s.model = s.round
      AND coalesce((SELECT min(b.to_round) FROM rollbacks AS b WHERE b.run > s.run), s.round) >= s.round;

-- Promotion cuts of rounds before `at_round` that no later `rollback` has undone.
CREATE OR REPLACE MACRO standing_cuts_at(at_round := now_round()) AS TABLE
    SELECT c.* FROM promotion_cuts AS c
    WHERE c.round < at_round
      AND coalesce((SELECT arg_max(b.to_round, b.run) FROM rollbacks AS b
                    WHERE b.run > c.run AND b.round <= at_round), c.round) >= c.round;

-- Objects selected for labelling, under their present ids.
CREATE OR REPLACE MACRO asked_at(at_round := now_round()) AS TABLE
    SELECT q.* EXCLUDE (object_id), coalesce(a.of_object_id, q.object_id) AS object_id
    FROM queue AS q
    LEFT JOIN standing_aliases_at(at_round) AS a ON a.survey = q.survey AND a.object_id = q.object_id
    WHERE q.round <= at_round;

-- Objects that a person has marked as unsure, and has not retracted.
CREATE OR REPLACE MACRO unsure_at(at_round := now_round()) AS TABLE
    SELECT DISTINCT survey, object_id FROM labels
    WHERE kind = 'unsure' AND round <= at_round
      AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL AND round <= at_round);

-- Objects drawn for calibration that a person marked as unsure, or skipped while answering a later one of the same
-- draw. Usually these are the difficult ones.
CREATE OR REPLACE MACRO passed_over_at(at_round := now_round()) AS TABLE
    SELECT survey, object_id
    FROM (SELECT q.survey, q.object_id, q.place, h.object_id IS NOT NULL AS answered, u.object_id IS NOT NULL AS unsure,
                 max(CASE WHEN h.object_id IS NOT NULL THEN q.place END) OVER (PARTITION BY q.run) AS last_answered
          FROM asked_at(at_round) AS q
          LEFT JOIN (SELECT survey, object_id FROM standing_labels_at(at_round) WHERE source = 'human') AS h
              ON h.survey = q.survey AND h.object_id = q.object_id
          LEFT JOIN unsure_at(at_round) AS u ON u.survey = q.survey AND u.object_id = q.object_id
          WHERE q.purpose = 'calibration')
    WHERE NOT answered AND (unsure OR place < last_answered);

-- The calibration objects and their true classes: the class with the larger vote, unless a person has replaced it. It
-- is 'tie' if volunteers voted on the object or its counterpart with equal votes, or if a person skipped it. A hash
-- puts each object into one of two halves for good. None is near a test object. None was selected by its score: only
-- objects drawn at random measure how often the network errs.
CREATE OR REPLACE MACRO calibration_at(at_round := now_round()) AS TABLE
    SELECT c.survey, c.object_id,
           CASE WHEN uniform_draw('calibration half', c.survey, c.object_id) < 0.5 THEN 'fit' ELSE 'certify' END AS half,
           coalesce(c.label, CASE WHEN v.object_id IS NOT NULL OR k.object_id IS NOT NULL THEN 'tie' END) AS truth, c.source
    FROM catalog_at(at_round) AS c
    LEFT JOIN passed_over_at(at_round) AS k ON k.survey = c.survey AND k.object_id = c.object_id
    LEFT JOIN (
        SELECT survey, object_id FROM standing_votes_at(at_round)
        UNION
        SELECT m.survey_b, m.object_id_b FROM standing_matches_at(at_round) AS m
        JOIN standing_votes_at(at_round) AS g ON g.survey = m.survey_a AND g.object_id = m.object_id_a
        UNION
        SELECT m.survey_a, m.object_id_a FROM standing_matches_at(at_round) AS m
        JOIN standing_votes_at(at_round) AS g ON g.survey = m.survey_b AND g.object_id = m.object_id_b) AS v
        ON v.survey = c.survey AND v.object_id = c.object_id
    -- objects that any network was trained on do not measure its errors on new objects; those whose image taught as the
    -- pool's images do, with their true class unused, still represent the pool
    ANTI JOIN (SELECT survey, object_id FROM training WHERE role <> 'teaching' AND round <= at_round) AS t
        ON t.survey = c.survey AND t.object_id = c.object_id
    ANTI JOIN (SELECT survey, object_id FROM asked_at(at_round) GROUP BY ALL
               HAVING NOT bool_or(coalesce(purpose, '') = 'calibration')) AS n
        ON n.survey = c.survey AND n.object_id = c.object_id
    WHERE c.split = 'calibration' AND c.domain = 'in' AND c.quality = 'ok'
      AND c.test_set IS NULL AND c.firewall IS NULL AND c.source IS DISTINCT FROM 'promoted';

-- Whether the round's promoted labels only assert: with [teaching] in its recipe no network trains on them.
CREATE OR REPLACE MACRO only_asserts(at_round) AS
    EXISTS (SELECT 1 FROM rounds WHERE round = at_round AND plan ->> '$.recipe.teaching' IS NOT NULL);

-- What decides which share of the objects at or above a threshold is promoted, where a quota takes a share. Where the
-- whole pool is certified anew, each round takes the same objects first, lest the shares add up.
CREATE OR REPLACE MACRO share_of(at_round) AS CASE WHEN only_asserts(at_round) THEN 'share' ELSE 'share ' || at_round END;

-- Cuts that have changed the pool for the networks after them: those before the last round whose network promoted labels
-- have trained (all, with `promoted_train`: where the round that is about to be planned is such a round).
CREATE OR REPLACE MACRO taken_cuts_at(at_round, target, promoted_train := false) AS TABLE
    SELECT *, share_of(round) AS share_key FROM standing_cuts_at(at_round)
    WHERE (survey IS NULL OR survey = target)
      AND (promoted_train
           OR round < (SELECT max(r.round) FROM rounds AS r
                       SEMI JOIN (SELECT model FROM scorings WHERE round <= at_round) AS s ON s.model = r.round
                       WHERE r.round <= at_round AND r.plan ->> '$.recipe.teaching' IS NULL));

-- Objects of a survey that no such cut has taken or, for calibration objects, would have taken: the remaining
-- calibration objects represent the remaining pool. An object that one of these rounds' models has not scored could be
-- either, so it is left out until `score --round` has scored it. Without such a cut these are all that are scored.
CREATE OR REPLACE MACRO left_at(at_round, target, promoted_train := false) AS TABLE
    WITH cuts AS (SELECT * FROM taken_cuts_at(at_round, target, promoted_train := promoted_train))
    SELECT p.survey, p.object_id
    FROM predictions AS p
    LEFT JOIN cuts AS k ON k.round = p.model AND k.class = p.predicted_label
    WHERE p.survey = target AND p.round <= at_round
      AND (p.model = at_round OR p.model IN (SELECT round FROM cuts))
    GROUP BY p.survey, p.object_id
    HAVING count(DISTINCT p.model) FILTER (p.model <> at_round) = (SELECT count(DISTINCT round) FROM cuts)
       AND NOT bool_or(coalesce(
            CASE k.score WHEN 'raw' THEN p.predicted_confidence ELSE p.calibrated_confidence END >= k.threshold
            AND uniform_draw(k.share_key, p.survey, p.object_id) < k.share, false));

-- The pool objects that the certificates of a round are about. Where promoted labels only assert, those with a promoted
-- label belong to them, and what a network was trained on does not, as among the calibration objects. Else each object
-- is certified at most once, since calibration objects represent one promotion.
CREATE OR REPLACE MACRO certifiable_at(at_round, target) AS TABLE
    SELECT p.*
    FROM unlabelled_pool_at(at_round, coalesce((SELECT min(run) FROM steps WHERE round = at_round AND step = 'decided'),
                                               now_round())) AS p
    SEMI JOIN left_at(at_round, target) AS t ON t.survey = p.survey AND t.object_id = p.object_id
    ANTI JOIN (SELECT survey, object_id FROM training
               WHERE role <> 'teaching' AND source <> 'promoted' AND round <= at_round AND only_asserts(at_round)) AS n
        ON n.survey = p.survey AND n.object_id = p.object_id
    WHERE p.survey = target AND (p.label IS NULL OR only_asserts(at_round));

-- The objects that the certificates of a round cover: those of their class at or above their threshold, in its share.
CREATE OR REPLACE MACRO covered_at(at_round, target) AS TABLE
    SELECT k.certificate, p.*
    FROM certifiable_at(at_round, target) AS p
    JOIN promotion_cuts AS k ON k.round = at_round AND k.certificate IS NOT NULL AND k.class = p.predicted_label
        AND p.calibrated_confidence >= k.threshold AND uniform_draw(share_of(at_round), p.survey, p.object_id) < k.share;
