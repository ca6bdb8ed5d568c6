"""Draw magnitudes, sizes, colours and shapes of galaxies of each kind: ellipticals, lenticulars, spirals, and stars.

Magnitudes, sizes and colours follow the galaxies that SDSS and DES both saw (r from 14.8 to 17.77, half-light radii of
1 to 6 arcsec). No catalogued quantity gives the class away. Discs of lenticulars are tilted like those of spirals, so
elongation does not; red spirals, spirals reddened by their own dust and blue ellipticals exist, so colour does not.

Lenticulars (a bulge and a disc, no arms) are early types, and count as ellipticals: so do most volunteers, who see a
smooth galaxy. What tells an edge-on spiral from an edge-on lenticular is the dust lane, the colour of the disc and the
size of the bulge.

References: the attenuation by inclination is about that of Masters et al. 2010 (MNRAS 404, 792).
"""

import math
from typing import Any

import numpy as np

from catbuilder.simulation.galaxy import Kind, Label, Light, Part

# GalSim takes some 40 ms to prepare each new Sersic index, so there are few.
ELLIPTICAL_INDICES = (2.0, 2.5, 3.0, 4.0, 5.0)
BULGE_INDICES = (1.5, 2.0, 3.0)
BRIGHT, FAINT = 14.8, 17.77  # r; 17.77 is the limit of the SDSS main sample, from which Galaxy Zoo was drawn
LENTICULAR_SHARE = 0.5  # of the early types
_TYPICAL = 16.5  # r to which sizes refer

Shape = dict[str, Any]
"""The fields of a `Galaxy` that its kind decides."""


def draw_shape(rng: np.random.Generator, label: Label) -> Shape:
    """Draw a galaxy of a class, as a sample limited in magnitude has them: spirals are more of the faint ones."""
    while True:
        if label == "spiral":
            shape = _spiral(rng)
        elif rng.random() < LENTICULAR_SHARE:
            shape = _lenticular(rng)
        else:
            shape = _elliptical(rng)
        if shape["mag_r"] < FAINT and rng.random() < _share_at(label, shape["mag_r"]):
            return shape


def draw_star(rng: np.random.Generator) -> Shape:
    """Draw a star of the magnitudes and colours of galaxies."""
    light = _one_light(rng, float(rng.uniform(0.3, 1.4)))
    return _shape("star", float(rng.uniform(14.5, 17.5)), 0.0, math.nan, 0.0, 1.0, (light,))


def red_minus_infrared(rng: np.random.Generator, g_r: float) -> float:
    """Draw the colour r - i that goes with g - r."""
    # The DES galaxies of the overlap scatter by 0.03 mag about this line.
    return float(0.11 + 0.31 * g_r + rng.normal(0, 0.03))


def _share_at(label: Label, mag_r: float) -> float:
    """Give the share of a class at a magnitude, if both are as many in all."""
    spirals = 0.35 + 0.3 * (mag_r - BRIGHT) / (FAINT - BRIGHT)
    return spirals if label == "spiral" else 1 - spirals


def _magnitude(rng: np.random.Generator) -> float:
    # Counts rise steeply towards the faint end, as in a magnitude-limited sample.
    return FAINT - (FAINT - BRIGHT) * (1 - math.sqrt(rng.random()))


def _radius(rng: np.random.Generator, mag_r: float, typical: float) -> float:
    return float(np.clip(typical * 10 ** (-0.15 * (mag_r - _TYPICAL) + rng.normal(0, 0.12)), 1.0, 6.5))


def _tilt(rng: np.random.Generator, thickness: float) -> tuple[float, float]:
    """Draw the inclination (deg) of a disc, any direction alike, and compute its axis ratio on the sky."""
    cosine = float(rng.random())
    return math.degrees(math.acos(cosine)), math.sqrt(cosine**2 * (1 - thickness**2) + thickness**2)


def _spiral(rng: np.random.Generator) -> Shape:
    """Draw a spiral. Its stage, from 0 (Sa) to 1 (Sc), decides the bulge, the arms, the colour and the dust."""
    stage = float(rng.random())
    inclination, axis_ratio = _tilt(rng, float(rng.uniform(0.12, 0.2)))
    dust = float(rng.lognormal(0, 0.3)) * (0.7 + 0.6 * math.sin(math.pi * stage))
    absorbed = dust * math.log10(1 / axis_ratio)  # 0 face-on: colours and magnitudes below are those of a face-on disc
    face_on = _magnitude(rng)
    radius = _radius(rng, face_on, 3.3)
    return _shape(
        "spiral",
        face_on + 0.6 * absorbed,
        radius,
        float(rng.choice(BULGE_INDICES)),
        radius * float(rng.uniform(0.12, 0.28)),
        axis_ratio,
        _spiral_lights(rng, stage, 0.22 * absorbed, dust * _edge_on(inclination)),
        inclination_deg=inclination,
        arms=int(rng.choice((2, 2, 2, 3, 4))),
        # The sign is the handedness.
        pitch_deg=float(rng.choice((-1, 1)) * np.clip(11 + 14 * stage + rng.normal(0, 3), 8, 32)),
        arm_angle_deg=float(rng.uniform(0, 360)),
        texture=int(rng.integers(2**31)),
    )


def _edge_on(inclination: float) -> float:
    """Give how far the dust of a disc lines up to a lane: 0 below 62 degrees, 1 above 80."""
    return min(max((inclination - 62) / 18, 0.0), 1.0)


def _spiral_lights(rng: np.random.Generator, stage: float, reddening: float, lane: float) -> tuple[Light, ...]:
    bulge = float(np.clip(0.42 - 0.36 * stage + rng.normal(0, 0.07), 0.03, 0.6))
    arms = (1 - bulge) * float(np.clip((0.2 + 0.3 * stage) * rng.lognormal(0, 0.3), 0.08, 0.6))
    bar = (1 - bulge) * float(rng.uniform(0.08, 0.2)) if rng.random() < 0.35 else 0.0
    lane = -min(0.11 * lane, 0.15) * (1 - bulge)
    disc_colour = float(0.69 - 0.26 * stage + rng.normal(0, 0.065))
    bulge_colour = max(disc_colour, float(rng.normal(0.82, 0.06)))
    shares: list[tuple[Part, float, float]] = [
        ("bulge", bulge, bulge_colour),
        ("disc", 1 - bulge - arms - bar - lane, disc_colour),
        ("arms", arms, disc_colour - 0.18),
        ("bar", bar, bulge_colour - 0.05),
        ("lane", lane, disc_colour - 0.4),
    ]
    return tuple(
        Light(part, share, colour + reddening, red_minus_infrared(rng, colour + reddening))
        for part, share, colour in shares
        if share
    )


def _lenticular(rng: np.random.Generator) -> Shape:
    inclination, axis_ratio = _tilt(rng, float(rng.uniform(0.18, 0.28)))
    mag = _magnitude(rng)
    radius = _radius(rng, mag, 3.0)
    bulge = float(rng.uniform(0.3, 0.65))
    bar = (1 - bulge) * float(rng.uniform(0.08, 0.2)) if rng.random() < 0.25 else 0.0
    disc_colour = float(rng.normal(0.62, 0.07) if rng.random() < 0.1 else rng.normal(0.785, 0.06))
    bulge_colour = disc_colour + 0.06
    shares: list[tuple[Part, float, float]] = [
        ("bulge", bulge, bulge_colour), ("disc", 1 - bulge - bar, disc_colour), ("bar", bar, bulge_colour)
    ]  # fmt: skip
    return _shape(
        "lenticular",
        mag,
        radius,
        float(rng.choice(BULGE_INDICES[1:])),
        radius * float(rng.uniform(0.15, 0.35)),
        axis_ratio,
        tuple(Light(part, f, colour, red_minus_infrared(rng, colour)) for part, f, colour in shares if f),
        inclination_deg=inclination,
        arm_angle_deg=float(rng.uniform(0, 360)),
    )


def _elliptical(rng: np.random.Generator) -> Shape:
    mag = _magnitude(rng)
    radius = _radius(rng, mag, 2.6)
    # The bright ones are the more concentrated.
    first = int(rng.integers(3)) + (1 if mag < _TYPICAL else 0) + (1 if rng.random() < 0.3 else 0)
    colour = float(rng.normal(0.64, 0.08) if rng.random() < 0.12 else rng.normal(0.835, 0.06))
    return _shape(
        "elliptical",
        mag,
        radius,
        ELLIPTICAL_INDICES[min(first, len(ELLIPTICAL_INDICES) - 1)],
        radius,
        0.3 + 0.7 * float(rng.beta(2.4, 1.3)),  # E7 is the flattest; flatter early types are lenticulars
        (_one_light(rng, colour),),
    )


def _one_light(rng: np.random.Generator, colour: float) -> Light:
    return Light("bulge", 1.0, colour, red_minus_infrared(rng, colour))


def _shape(
    kind: Kind, mag_r: float, radius: float, sersic: float, bulge_radius: float, axis_ratio: float,
    lights: tuple[Light, ...], **more: Any,
) -> Shape:  # fmt: skip
    """Collect the fields; those that only discs or arms have are empty unless `more` gives them."""
    empty = {"inclination_deg": math.nan, "arms": 0, "pitch_deg": math.nan, "arm_angle_deg": math.nan, "texture": 0}
    return {
        "kind": kind, "mag_r": mag_r, "radius_arcsec": radius, "sersic": sersic, "bulge_radius_arcsec": bulge_radius,
        "axis_ratio": axis_ratio, "lights": lights, **empty, **more,
    }  # fmt: skip
