"""Simulate the votes of Galaxy Zoo's volunteers on SDSS images of the galaxies.

Some 40 volunteers look at a galaxy. Each sees arms, or an edge-on disc, the more surely the larger and brighter the
galaxy is and the less it is tilted; where they see neither, they vote elliptical. They err together, since they look at
the same image: votes on a galaxy scatter about its own chance, which differs from that of its twins. The debiased
shares undo what a typical spiral of that size and magnitude loses, as those of Galaxy Zoo do for distance.

Reference: Bamford et al. 2009 (MNRAS 393, 1324), for the debiasing.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from catbuilder.simulation.galaxy import Exposure, Galaxy, Label

CUTS: dict[Label, float] = {"elliptical": 0.926, "spiral": 0.985}
"""Debiased shares above these are clean votes: the cuts of Khan et al. 2019 and of the recipe `paper`."""

_VOLUNTEERS = 40
_SDSS_SEEING = 1.32  # arcsec, in r
_PECULIAR = 1.3  # scatter of a galaxy's logit about that of its twins
_FREEDOM = 4  # of Student's t, by which it scatters: some images mislead nearly every volunteer


@dataclass(frozen=True)
class Votes:
    """Numbers of volunteers by what they saw, and the debiased shares of the two classes."""

    elliptical: int
    clockwise: int
    anticlockwise: int
    edge_on: int
    do_not_know: int
    merger: int
    elliptical_debiased: float
    spiral_debiased: float

    @property
    def volunteers(self) -> int:
        """Count the volunteers."""
        return self.elliptical + self.spiral + self.do_not_know + self.merger

    @property
    def spiral(self) -> int:
        """Count the votes for a spiral of any kind."""
        return self.clockwise + self.anticlockwise + self.edge_on

    @property
    def label(self) -> Label:
        """The class with more of the debiased votes; none if they are equal."""
        if self.spiral_debiased == self.elliptical_debiased:
            return "none"
        return "spiral" if self.spiral_debiased > self.elliptical_debiased else "elliptical"

    @property
    def clean(self) -> bool:
        """Whether the debiased share of its class is above the cut."""
        return self.share(self.label) > CUTS.get(self.label, 1.0)

    def share(self, label: Label) -> float:
        """Give the debiased share of a class."""
        return {"spiral": self.spiral_debiased, "elliptical": self.elliptical_debiased}.get(label, 0.0)


def cast_votes(galaxy: Galaxy, rng: np.random.Generator) -> Votes:
    """Let the volunteers vote on the SDSS image of a galaxy."""
    detail = visible_detail(galaxy.radius_arcsec, galaxy.mag_r, galaxy.sdss)
    spiral = expit(_evidence(galaxy, detail) + _PECULIAR * rng.standard_t(_FREEDOM))
    do_not_know, merger = 0.003 + 0.03 * (1 - detail) ** 2, 0.003
    edge_on = expit((galaxy.inclination_deg - 76) / 4) if galaxy.inclination_deg > 0 else 0.5
    clockwise = 0.5 + math.copysign(0.45 * detail, galaxy.pitch_deg) if galaxy.arms else 0.5
    chances = np.array([
        1 - spiral, spiral * (1 - edge_on) * clockwise, spiral * (1 - edge_on) * (1 - clockwise), spiral * edge_on
    ])  # fmt: skip
    counts = rng.multinomial(
        max(int(rng.poisson(_VOLUNTEERS)), 20), [*chances * (1 - do_not_know - merger), do_not_know, merger]
    )
    return _debiased(counts.tolist(), _bias(galaxy))


def visible_detail(radius_arcsec: float, mag_r: float, exposure: Exposure) -> float:
    """Compute how much of its structure an SDSS image shows, from 0 to 1: by size in units of seeing, and by light."""
    size = math.log2(max(radius_arcsec, 0.1) / (2.2 * _SDSS_SEEING * exposure.seeing))
    return float(expit(1.6 + 2.0 * size - 0.9 * (mag_r - 16.5) - 1.5 * math.log(exposure.noise)))


def _evidence(galaxy: Galaxy, detail: float) -> float:
    """Compute the logit of a vote for spiral."""
    cosine = math.cos(math.radians(galaxy.inclination_deg)) if galaxy.kind != "elliptical" else 1.0
    edge_on = expit((0.2 - cosine) / 0.04)
    if galaxy.kind == "spiral":
        contrast = min(galaxy.fraction("arms") / 0.28, 1.3)
        arms = contrast * min(0.35 + cosine, 1.0) * (1 - edge_on)
        return -2.8 + 10.0 * detail * max(arms, 0.85 * edge_on)
    # Edge-on they are disputed: without arms to see, a flat disc is called a spiral by half of the volunteers.
    flat = edge_on if galaxy.kind == "lenticular" else expit((0.45 - galaxy.axis_ratio) / 0.05) * 0.5
    return -4.4 + 1.4 * (1 - detail) + 4.0 * flat


def _bias(galaxy: Galaxy) -> float:
    """Compute the factor on votes for elliptical that undoes what spirals of this size and magnitude lose."""
    return math.exp(-2.0 * (1 - visible_detail(galaxy.radius_arcsec, galaxy.mag_r, Exposure())))


def _debiased(counts: list[int], bias: float) -> Votes:
    """Multiply the votes for elliptical by `bias`, and leave the sum of the two shares as it is."""
    elliptical, clockwise, anticlockwise, edge_on, do_not_know, merger = counts
    spiral = clockwise + anticlockwise + edge_on
    both = (elliptical + spiral) / sum(counts)
    share = bias * elliptical / (bias * elliptical + spiral) if elliptical else 0.0
    return Votes(
        elliptical, clockwise, anticlockwise, edge_on, do_not_know, merger, both * share, both * (1 - share)
    )  # fmt: skip
