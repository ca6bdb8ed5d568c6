-- The latest model whose predictions an export contains, and its round.
SELECT r.round, r.recipe, r.recipe_sha256, r.seed,
       (SELECT arg_max(p.ranks, p.number) FROM plans AS p
        WHERE p.round = r.round AND coalesce(p.after_step, 'planned') = 'planned') AS ranks, m.sha256,
       greatest(1, (SELECT count(*) FROM members AS e WHERE e.model = r.round)) AS members
FROM rounds AS r
JOIN models AS m ON m.model = r.round
WHERE r.round <= $at
ORDER BY r.round DESC
LIMIT 1
