-- Time of each step of a round, and its duration
SELECT round, step, recorded_at,
       recorded_at - lag(recorded_at) OVER (PARTITION BY round ORDER BY run) AS after_the_step_before
FROM steps
ORDER BY round, run;
