-- The smallest margins between the best and the second-best class
-- Works for any number of classes: the posteriors are all columns that begin with p_.
SELECT survey, object_id, predicted_label, round(posterior[1] - posterior[2], 4) AS margin
FROM (SELECT survey, object_id, predicted_label, list_reverse_sort(list_value(*COLUMNS('^p_'))) AS posterior
      FROM catalog WHERE model IS NOT NULL)
ORDER BY margin, survey, object_id
LIMIT 10;
