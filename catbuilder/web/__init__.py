"""`catbuilder serve`: the catalogue in a browser of this machine, to browse, to review and to watch a round."""
