"""A script writes to "$OUT", and OUT was never set; or to the current folder."""
