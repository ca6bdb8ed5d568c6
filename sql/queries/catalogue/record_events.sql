-- Number the incoming events without gaps, in the order given: `position` counts from 0.
INSERT INTO labels BY NAME
SELECT (SELECT coalesce(max(event), 0) FROM labels) + 1 + i.position AS event,
       i.* EXCLUDE (position), $round AS round, $run AS run, now() AS recorded_at
FROM incoming_events AS i
