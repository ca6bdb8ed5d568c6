-- The pool objects that the certificates of a round cover: at or above the threshold of their class, in its random share.
SELECT k.certificate, p.*
FROM certifiable AS p
JOIN cuts AS k ON k.class = p.predicted_label AND p.calibrated_confidence >= k.threshold
    AND uniform_draw(share_of($round), p.survey, p.object_id) < k.share
