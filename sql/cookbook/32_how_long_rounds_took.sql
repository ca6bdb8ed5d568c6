-- When each step of a round was done, and how long it took
SELECT round, step, recorded_at,
       recorded_at - lag(recorded_at) OVER (PARTITION BY round ORDER BY run) AS after_the_step_before
FROM steps
ORDER BY round, run;
