"""Pan-STARRS: the mask and the variance are files of their own, and the mask's header names its bits."""

from support.tile_layouts import extension, marked, sky_image, write_bands, write_objects

BITS = {"MSKNAM00": "DETECTOR", "MSKVAL00": 1, "MSKNAM01": "SAT", "MSKVAL01": 32, "MSKNAM02": "CR", "MSKVAL02": 256}
write_bands(lambda seed: [extension(sky_image(seed), "")])
write_bands(lambda seed: [extension(marked(32 + 256, elsewhere=256, dtype="u2"), "", **BITS)], "T_{}.mask.fits")
write_bands(lambda seed: [extension(marked(9, 9, "f4"), "")], "T_{}.wt.fits")
write_bands(lambda seed: [extension(marked(9, 9, "f4"), "")], "T_{}.exp.fits")
write_objects()
