"""Three masks are named T_mask_g, T_mask_r and T_mask_i, like the bands of one more tile."""

from support.tile_layouts import extension, marked, sky_image, write_bands, write_objects

write_bands(lambda seed: [extension(sky_image(seed), "")])
write_bands(lambda seed: [extension(marked(1), "")], "T_mask_{}.fits")
write_bands(lambda seed: [extension(marked(1), "")], "U_rms_{}.fits")
write_objects()
