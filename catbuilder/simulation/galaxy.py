"""Describe one simulated object: its place, its light part by part, its neighbours, and the air above it.

A galaxy is a few numbers from its own random stream, which depends on the seed and its number in the plan. So any
process can make any galaxy, and all agree.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Label = Literal["spiral", "elliptical", "star", "none"]
Kind = Literal["spiral", "lenticular", "elliptical", "star"]
Fault = Literal["", "blank", "saturated", "blended", "star"]
Purpose = Literal["truth", "sdss", "des", "survey", "votes", "sdss fields", "des tiles"]
Part = Literal["bulge", "disc", "arms", "bar", "lane"]
SetName = Literal["training", "hp", "fo", "calibration", "pool"]
SurveyName = Literal["sdss", "des"]

_PURPOSES: tuple[Purpose, ...] = ("truth", "sdss", "des", "survey", "votes", "sdss fields", "des tiles")


@dataclass(frozen=True)
class Light:
    """One part of a galaxy: its share of the r-band flux and its colours (mag).

    The share of a dust lane is negative: it takes light away, more of it in the blue.
    """

    part: Part
    fraction: float
    g_r: float
    r_i: float


@dataclass(frozen=True)
class Companion:
    """Another object on the stamp: a star (`radius_arcsec` 0) or a small galaxy, offset in arcsec."""

    dx: float
    dy: float
    mag_r: float
    g_r: float
    r_i: float
    radius_arcsec: float
    axis_ratio: float
    angle_deg: float


@dataclass(frozen=True)
class Exposure:
    """Seeing and noise of the sky at one place in one survey, as factors on the survey's typical ones."""

    seeing: float = 1.0
    noise: float = 1.0


@dataclass(frozen=True)
class Galaxy:
    """True values of one simulated object.

    `label` is the class and `kind` the type: a lenticular is an early type, so its class is elliptical.
    `radius_arcsec` is the half-light radius of an elliptical (the geometric mean of its axes), or of a disc seen
    face-on; `axis_ratio` is that of the projected disc or of the elliptical; `sersic` belongs to the elliptical or the
    bulge. `texture` is the seed of the knots along the arms. Both surveys see the same shape.
    """

    number: int
    set_name: SetName
    label: Label
    kind: Kind
    fault: Fault
    ra: float
    dec: float
    sdss: Exposure
    des: Exposure
    mag_r: float
    radius_arcsec: float
    sersic: float
    bulge_radius_arcsec: float
    inclination_deg: float
    axis_ratio: float
    position_angle_deg: float
    arms: int
    pitch_deg: float
    arm_angle_deg: float
    texture: int
    lights: tuple[Light, ...]
    companions: tuple[Companion, ...]

    def magnitudes(self) -> tuple[float, float, float]:
        """Compute the total g, r, i magnitudes; the parts have different colours, so their fluxes are added."""
        g = sum(light.fraction * 10 ** (-0.4 * light.g_r) for light in self.lights)
        i = sum(light.fraction * 10 ** (0.4 * light.r_i) for light in self.lights)
        return self.mag_r - 2.5 * math.log10(g), self.mag_r, self.mag_r - 2.5 * math.log10(i)

    def fraction(self, part: Part) -> float:
        """Compute the share of the r-band flux in one part; 0 if the galaxy does not have it."""
        return sum(light.fraction for light in self.lights if light.part == part)

    def exposure(self, survey: SurveyName) -> Exposure:
        """Return the seeing and noise with which a survey sees it."""
        return self.sdss if survey == "sdss" else self.des


def random_stream(seed: int, number: int, purpose: Purpose) -> np.random.Generator:
    """Make the random stream of one object (or cell of the sky) and purpose; it is the same in every process."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, number, _PURPOSES.index(purpose)))))
