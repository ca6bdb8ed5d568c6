-- The model that speaks, whose predictions an export contains, its round, and how its confidences were calibrated.
SELECT r.round, r.recipe, r.recipe_sha256, r.seed,
       (SELECT arg_max(p.ranks, p.number) FROM plans AS p
        WHERE p.round = r.round AND coalesce(p.after_step, 'planned') = 'planned') AS ranks, m.sha256,
       greatest(1, (SELECT count(*) FROM members AS e WHERE e.model = r.round)) AS members,
       coalesce((SELECT format('{} on {} galaxies', k.method, k.n) FROM calibrators AS k WHERE k.model = r.round),
                'none: no calibration galaxies') AS calibrated
FROM rounds AS r
JOIN models AS m ON m.model = r.round
WHERE r.round = speaker_at($at)
