-- Objects of a survey by domain and reason.
SELECT domain, coalesce(reason, ''), count(*)
FROM standing_domains_at()
WHERE survey = $survey
GROUP BY ALL
ORDER BY count(*) DESC, domain, 2
