"""How fast `catbuilder simulate` draws, against the bare GalSim limit.

The limit is a plain loop of six `drawImage` calls a galaxy (two surveys, three bands), each of one Sersic
profile of an index already met, convolved with a PSF, with GalSim's own accuracy: no parts, companions,
noise, colours or files. What is measured is the whole of `simulate_sources` for galaxies that both surveys
see: truth, six draws, noise, rendering, PNG files and tables. The rate that counts is of galaxies by the CPU
time of one process, which other work on the machine changes least; the rate by the clock is printed too.

    python scripts/bench/simulate.py [--galaxies 400]

Exits with 1 below 25 galaxies a second a core.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import galsim

from catbuilder.simulation.galaxies import SurveyPlan
from catbuilder.simulation.shapes import ELLIPTICAL_INDICES
from catbuilder.simulation.survey import simulate_sources
from catbuilder.simulation.telescopes import DES, SDSS, stamp_pixels

FLOOR = 25.0
PIXELS = 64


def simulate_both(galaxies: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan = SurveyPlan(training=0, hp=galaxies // 2, fo=galaxies - galaxies // 2, calibration=0, pool=0, faults=0)
        simulate_sources(Path(folder), plan, seed=1, stamp_size=PIXELS, processes=1)


def draw_bare(galaxies: int) -> None:
    for k in range(galaxies):
        galaxy = galsim.Sersic(
            ELLIPTICAL_INDICES[k % len(ELLIPTICAL_INDICES)], half_light_radius=1.0 + 0.02 * (k % 100)
        )
        for telescope in (SDSS, DES):
            pixels = stamp_pixels(telescope, PIXELS)
            for seeing in telescope.seeing_arcsec:
                seen = galsim.Convolve(galaxy, galsim.Moffat(beta=3.5, fwhm=seeing))
                seen.drawImage(nx=pixels, ny=pixels, scale=telescope.arcsec_per_pixel)


def rate(work: Callable[[int], None], galaxies: int) -> tuple[float, float]:
    """Galaxies a second, by CPU time and by the clock, after a first run has filled GalSim's tables."""
    work(20)
    clock, cpu = time.perf_counter(), time.process_time()
    work(galaxies)
    return galaxies / (time.process_time() - cpu), galaxies / (time.perf_counter() - clock)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--galaxies", type=int, default=400)
    galaxies = parser.parse_args().galaxies
    ours, ours_clock = rate(simulate_both, galaxies)
    bare, bare_clock = rate(draw_bare, galaxies)
    print(f"{galaxies} galaxies, both surveys, three bands, {PIXELS} px of SDSS and the same angle of DES")
    print(f"{'':24}{'a core, CPU':>14}{'by the clock':>14}")
    print(f"{'catbuilder simulate':24}{ours:>12.1f}/s{ours_clock:>12.1f}/s")
    print(f"{'bare GalSim, 6 draws':24}{bare:>12.1f}/s{bare_clock:>12.1f}/s")
    print(f"ratio {ours / bare:.2f}; floor {FLOOR:.0f}/s a core: {'met' if ours >= FLOOR else 'MISSED'}")
    return 0 if ours >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
