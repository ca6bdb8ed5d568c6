"""Bring data in: images, survey tables, coadd tiles, cut-out services."""
