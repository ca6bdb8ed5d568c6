"""The web page of `catbuilder serve`: browse the catalogue, label galaxies, watch rounds, run SQL."""
