"""Draw seeing and depth by place: they differ between the fields of SDSS and between the tiles of DES.

SDSS scanned the sky once, so its fields differ in seeing and little in depth. A DES tile is a sum of a few exposures of
several nights; in DR1 their number varies, and so does the depth. All objects of a field or tile share its draw.
"""

import numpy as np

from catbuilder.core.sky import cell_shift, healpix_cell
from catbuilder.simulation.galaxy import Exposure, Purpose, SurveyName, random_stream

_CELLS: dict[SurveyName, tuple[Purpose, int, float, float]] = {
    # HEALPix order, then the scatter (natural logarithm) of seeing and noise. Cells of order 8 are 13.7 arcmin wide
    # (a field: 13.5 by 9), of order 6 55 arcmin (a tile: 44).
    "sdss": ("sdss fields", 8, 0.10, 0.06),
    "des": ("des tiles", 6, 0.10, 0.20),
}


def draw_exposures(positions: np.ndarray, survey: SurveyName, seed: int) -> list[Exposure]:
    """Draw the seeing and noise of a survey at positions, shape (n, 2), in degrees (ICRS)."""
    purpose, order, seeing, noise = _CELLS[survey]
    cells = (healpix_cell(positions[:, 0], positions[:, 1]) >> cell_shift(order)).tolist()
    known: dict[int, Exposure] = {}
    for cell in cells:
        if cell not in known:
            rng = random_stream(seed, cell, purpose)
            known[cell] = Exposure(float(rng.lognormal(0, seeing)), float(rng.lognormal(0, noise)))
    return [known[cell] for cell in cells]
