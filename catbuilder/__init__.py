"""catbuilder: from a few thousand labelled galaxies to the catalogue of a whole sky survey."""

__version__ = "0.1.0"
