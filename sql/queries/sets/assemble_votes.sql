-- The votes on each galaxy of the labelled survey: true class by debiased votes, raw majority, and whether the debiased
-- votes pass the cuts (Khan et al. 2019, section II).
CREATE OR REPLACE TEMP TABLE votes AS
SELECT object_id,
       CASE WHEN p_cs_debiased > p_el_debiased THEN 'spiral'
            WHEN p_el_debiased > p_cs_debiased THEN 'elliptical' END AS truth,
       CASE WHEN p_cs > p_el THEN 'spiral' WHEN p_el > p_cs THEN 'elliptical' END AS raw_majority,
       greatest(p_el_debiased, p_cs_debiased) AS votes,
       nvote,
       -- votes are stored in 32 bits, so the cut is compared in 32 bits: 0.985 is not above 0.985
       CASE WHEN p_cs_debiased > p_el_debiased THEN p_cs_debiased > $spiral::FLOAT
            ELSE p_el_debiased > $elliptical::FLOAT END AS clean
FROM standing_votes_at()
WHERE survey = $labelled AND p_cs_debiased IS NOT NULL AND p_el_debiased IS NOT NULL
