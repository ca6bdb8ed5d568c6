-- The images whose stated position is farthest from the archive's position of the same id.
SELECT object_id, moved_arcsec FROM known WHERE moved_arcsec > $far_arcsec ORDER BY moved_arcsec DESC, object_id LIMIT $first
