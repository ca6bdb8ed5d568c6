"""A tool has written CDELT in arcsec, which FITS reads in degrees: pixels of 947 arcsec."""

from support.tile_layouts import extension, sky_image, write_bands, write_objects

write_bands(lambda seed: [extension(sky_image(seed), "", PC1_1=-1.0, PC2_2=1.0, CDELT1=0.263, CDELT2=0.263)])
write_objects()
