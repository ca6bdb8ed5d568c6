"""The words that the catalogue knows: sources, domains, splits."""

SOURCES = ("human", "galaxy_zoo", "imported", "promoted")
DOMAINS = ("in", "extrapolated", "unresolved", "star", "artefact", "unknown")
SPLITS = ("train", "validation", "calibration", "pool", "none")  # none: scored, but never trained on or promoted
