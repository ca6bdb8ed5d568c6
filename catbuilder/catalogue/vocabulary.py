"""Values of the columns `source`, `domain` and `split`, and what each means."""

SOURCES = (
    "human",  # a person looked at the object and gave the label
    "galaxy_zoo",  # the label follows from the votes of Galaxy Zoo's volunteers
    "imported",  # the label came with a table, such as another catalogue
    "promoted",  # a round gave the label, from the score of its model
)
"""Who gave a label, the strongest source first: the label of the strongest source stands (`sql/views.sql`)."""

DOMAINS = (
    "in",  # a galaxy of the target population
    "extrapolated",  # a galaxy brighter, fainter, larger or smaller than the labelled ones
    "unresolved",  # too small for its shape to be seen
    "star",  # classified as a star
    "artefact",  # its image or its measurement is flagged as bad
    "unknown",  # a measurement that decides this is missing
)
"""Whether an object belongs to the target population, and why not; only objects of domain `in` are promoted."""

SPLITS = (
    "train",  # its label may be trained on
    "validation",  # its label validates the training
    "calibration",  # its label calibrates confidences and counts errors; it is never trained on
    "pool",  # has no label yet; it may be promoted
    "none",  # is scored, but never trained on or promoted
)
"""What an object may be used for."""
