"""Cut stamps of catalogued objects from coadd tiles."""
