"""Pan-STARRS stores the pixels of its stacks as asinh magnitudes, which a reader takes for fluxes."""

from support.tile_layouts import extension, sky_image, write_bands, write_objects

write_bands(lambda seed: [extension(sky_image(seed), "", BSOFTEN=100.0, BOFFSET=3.0)])
write_objects()
