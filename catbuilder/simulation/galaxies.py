"""Choose the galaxies of a simulated survey: positions, magnitudes, colours, sizes and shapes.

A galaxy is a few numbers from its own random stream, which depends on the seed and its number in the plan. So any
process can make any galaxy, and all agree. Images are drawn elsewhere (`telescopes`). Magnitudes, sizes and colours
follow the galaxies that SDSS and DES both saw (r from 15 to 18, half-light radii of 1 to 6 arcsec). Red spirals and
blue ellipticals exist, so colour alone does not determine the class.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.spatial import cKDTree

Label = Literal["spiral", "elliptical", "star", "none"]
Fault = Literal["", "blank", "saturated", "blended", "star"]
Purpose = Literal["truth", "sdss", "des", "survey"]
Part = Literal["bulge", "disc", "arms", "bar"]
SetName = Literal["training", "hp", "fo", "calibration", "pool"]

FAULTS: tuple[Fault, ...] = ("blank", "saturated", "blended", "star")
# GalSim takes some 40 ms to prepare each new Sersic index, so there are few.
ELLIPTICAL_INDICES = (2.0, 2.5, 3.0, 4.0, 5.0)
BULGE_INDICES = (1.5, 2.0, 3.0)
# Share of galaxies that are hard to classify: fainter, smaller, more tilted, with less distinct shapes. Sets of
# high-confidence votes hold few of them.
_HARD_SHARES: dict[SetName, float] = {"training": 0.2, "hp": 0.0, "fo": 0.75, "calibration": 0.5, "pool": 0.5}
SEPARATION_ARCSEC = 40.0  # well beyond the firewall's 5 arcsec and the stamps' half diagonal


@dataclass(frozen=True)
class SurveyPlan:
    """Numbers of galaxies in each set. Both surveys see HP and FO; SDSS alone sees training, DES alone the rest.

    `faults` of the pool's members are, in equal shares, blank, saturated and blended stamps, and stars.

    Attributes
    ----------
    training : int
        Galaxies of the training set (default 1600).
    hp : int
        Galaxies of test set HP (default 200).
    fo : int
        Galaxies of test set FO (default 400).
    calibration : int
        Galaxies of the calibration set (default 200).
    pool : int
        Members of the pool (default 1200).
    faults : int
        Members of the pool that are faulty (default 24).
    """

    training: int = 1600
    hp: int = 200
    fo: int = 400
    calibration: int = 200
    pool: int = 1200
    faults: int = 24

    def __post_init__(self) -> None:
        if min(self.training, self.hp, self.fo, self.calibration, self.pool, self.faults) < 0:
            raise ValueError("a survey plan holds numbers of galaxies: none of them may be negative")
        if self.faults > self.pool:
            raise ValueError(f"{self.faults} faults do not fit into a pool of {self.pool}")

    @classmethod
    def scaled_to(cls, galaxies: int) -> "SurveyPlan":
        """Scale the default plan to a total number of galaxies."""
        default = cls()
        total = default.training + default.hp + default.fo + default.calibration + default.pool
        return cls(**{name: round(value * galaxies / total) for name, value in asdict(default).items()})

    def members(self) -> Iterator[tuple[SetName, int, int]]:
        """Yield the name, size and number of spirals of each set."""
        shares: tuple[tuple[SetName, int, float], ...] = (
            ("training", self.training, 0.5),
            ("hp", self.hp, 0.5),
            ("fo", self.fo, 0.53),
            # The same share as the pool: errors counted in the calibration set stand for those of the pool.
            ("calibration", self.calibration, 0.6),
            ("pool", self.pool, 0.6),
        )
        for name, size, spiral_share in shares:
            yield name, size, round(size * spiral_share)


@dataclass(frozen=True)
class Light:
    """One part of a galaxy: its share of the r-band flux and its colours (mag)."""

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
class Galaxy:
    """True values of one simulated object.

    `radius_arcsec` is the half-light radius of an elliptical, or of a spiral's disc seen face-on;
    `axis_ratio` is that of the projected disc or of the elliptical; `sersic` belongs to the elliptical or the
    bulge. `texture` is the seed of the knots along the arms. Both surveys see the same shape.
    """

    number: int
    set_name: SetName
    label: Label
    fault: Fault
    ra: float
    dec: float
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


def draw_galaxies(plan: SurveyPlan, seed: int) -> list[Galaxy]:
    """Make every object of the plan, in the order training, HP, FO, calibration, pool."""
    positions = _positions(plan, seed)
    galaxies: list[Galaxy] = []
    for set_name, size, spirals in plan.members():
        faults = _faults_of(plan) if set_name == "pool" else {}
        for k in range(size):
            number = len(galaxies)
            rng = random_stream(seed, number, "truth")
            label: Label = "spiral" if k < spirals else "elliptical"
            galaxies.append(_draw(rng, number, set_name, label, faults.get(k, ""), positions[number]))
    return galaxies


def random_stream(seed: int, number: int, purpose: Purpose) -> np.random.Generator:
    """Make the random stream of one object and purpose; it is the same in every process."""
    key = ("truth", "sdss", "des", "survey").index(purpose)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, number, key))))


def _faults_of(plan: SurveyPlan) -> dict[int, Fault]:
    # Every k-th member of the pool, so that spirals and ellipticals are affected alike.
    if not plan.faults:
        return {}
    step = plan.pool // plan.faults
    return {k * step: FAULTS[k % len(FAULTS)] for k in range(plan.faults)}


def _draw(
    rng: np.random.Generator, number: int, set_name: SetName, label: Label, fault: Fault, position: np.ndarray
) -> Galaxy:
    hard = bool(rng.random() < _HARD_SHARES[set_name])
    if fault == "star":
        shape = _star(rng)
        label = "star"
    elif label == "spiral":
        shape = _spiral(rng, hard)
    else:
        shape = _elliptical(rng, hard)
    return Galaxy(
        number=number,
        set_name=set_name,
        label="none" if fault == "blank" else label,
        fault=fault,
        ra=float(position[0]),
        dec=float(position[1]),
        position_angle_deg=float(rng.uniform(0, 180)),
        companions=_companions(rng, fault, shape["mag_r"]),
        **shape,
    )


def _magnitude(rng: np.random.Generator, hard: bool) -> float:
    # Counts rise steeply towards the faint end, as in a magnitude-limited sample.
    bright, faint = (16.0, 18.0) if hard else (15.0, 17.4)
    return float(faint - (faint - bright) * (1 - math.sqrt(rng.random())))


def _spiral(rng: np.random.Generator, hard: bool) -> dict[str, Any]:
    mag = _magnitude(rng, hard)
    radius = float(np.clip(3.6 * 10 ** (-0.12 * (mag - 16.5) + rng.normal(0, 0.10)), 1.4, 6.5))
    bulge = float(np.clip(rng.normal(0.26 if hard else 0.18, 0.12), 0.03, 0.6))
    cosine = float(rng.uniform(0.08, 0.85) if hard else rng.uniform(0.15, 1.0))
    thickness = 0.15
    return {
        "mag_r": mag,
        "radius_arcsec": radius,
        "sersic": float(rng.choice(BULGE_INDICES)),
        "bulge_radius_arcsec": radius * float(rng.uniform(0.12, 0.28)),
        "inclination_deg": math.degrees(math.acos(cosine)),
        "axis_ratio": math.sqrt(cosine**2 * (1 - thickness**2) + thickness**2),
        "arms": int(rng.choice((2, 2, 2, 3, 4))),
        # The sign is the handedness.
        "pitch_deg": float(rng.choice((-1, 1)) * rng.uniform(11, 28)),
        "arm_angle_deg": float(rng.uniform(0, 360)),
        "texture": int(rng.integers(2**31)),
        "lights": _spiral_lights(rng, bulge, hard),
    }


def _spiral_lights(rng: np.random.Generator, bulge: float, hard: bool) -> tuple[Light, ...]:
    arms = (1 - bulge) * float(rng.uniform(0.18, 0.42) if hard else rng.uniform(0.3, 0.55))
    bar = (1 - bulge) * float(rng.uniform(0.08, 0.2)) if rng.random() < 0.35 else 0.0
    disc_colour = float(rng.normal(0.76, 0.08) if rng.random() < 0.25 else rng.normal(0.55, 0.11))
    bulge_colour = max(disc_colour, float(rng.normal(0.84, 0.07)))
    shares: list[tuple[Part, float, float]] = [
        ("bulge", bulge, bulge_colour),
        ("disc", 1 - bulge - arms - bar, disc_colour),
        ("arms", arms, disc_colour - 0.2),
    ]
    if bar:
        shares.append(("bar", bar, bulge_colour - 0.05))
    return tuple(Light(part, share, colour, _r_i(rng, colour)) for part, share, colour in shares)


def _elliptical(rng: np.random.Generator, hard: bool) -> dict[str, Any]:
    mag = _magnitude(rng, hard)
    radius = float(np.clip(2.6 * 10 ** (-0.14 * (mag - 16.5) + rng.normal(0, 0.12)), 0.9, 6.0))
    # Low indices in the hard sets: a disky elliptical looks like a spiral with faint arms.
    indices = ELLIPTICAL_INDICES[1:4] if hard else ELLIPTICAL_INDICES[2:]
    colour = float(rng.normal(0.66, 0.08) if rng.random() < 0.12 else rng.normal(0.86, 0.08))
    return {
        "mag_r": mag,
        "radius_arcsec": radius,
        "sersic": float(rng.choice(indices)),
        "bulge_radius_arcsec": radius,
        "inclination_deg": math.nan,
        "axis_ratio": float(rng.uniform(0.45, 1.0) if hard else rng.uniform(0.6, 1.0)),
        **_NO_ARMS,
        "lights": (Light("bulge", 1.0, colour, _r_i(rng, colour)),),
    }


def _star(rng: np.random.Generator) -> dict[str, Any]:
    colour = float(rng.uniform(0.3, 1.4))
    return {
        "mag_r": float(rng.uniform(14.5, 17.5)),
        "radius_arcsec": 0.0,
        "sersic": math.nan,
        "bulge_radius_arcsec": 0.0,
        "inclination_deg": math.nan,
        "axis_ratio": 1.0,
        **_NO_ARMS,
        "lights": (Light("bulge", 1.0, colour, _r_i(rng, colour)),),
    }


_NO_ARMS: dict[str, Any] = {"arms": 0, "pitch_deg": math.nan, "arm_angle_deg": math.nan, "texture": 0}


def _r_i(rng: np.random.Generator, g_r: float) -> float:
    # The DES galaxies of the overlap scatter by 0.03 mag about this line.
    return float(0.11 + 0.31 * g_r + rng.normal(0, 0.03))


def _companions(rng: np.random.Generator, fault: Fault, mag_r: float) -> tuple[Companion, ...]:
    """Make faint neighbours, and a saturated star or an overlapping galaxy if that is the fault."""
    around = [_companion(rng, rng.uniform(18.0, 21.5), rng.uniform(6.0, 13.0)) for _ in range(rng.poisson(0.9))]
    if fault == "saturated":
        around.append(_companion(rng, rng.uniform(8.0, 9.5), rng.uniform(2.0, 6.0), radius=0.0))
    if fault == "blended":
        radius = rng.uniform(1.2, 2.5)
        around.append(_companion(rng, mag_r + rng.uniform(-0.3, 0.5), rng.uniform(2.5, 4.5), radius=radius))
    return tuple(around)


def _companion(rng: np.random.Generator, mag_r: float, distance: float, radius: float | None = None) -> Companion:
    angle, colour = rng.uniform(0, 2 * math.pi), float(rng.uniform(0.3, 1.4))
    if radius is None:
        radius = 0.0 if rng.random() < 0.5 else rng.uniform(0.4, 1.0)
    return Companion(
        dx=float(distance * math.cos(angle)),
        dy=float(distance * math.sin(angle)),
        mag_r=float(mag_r),
        g_r=colour,
        r_i=_r_i(rng, colour),
        radius_arcsec=float(radius),
        axis_ratio=float(rng.uniform(0.4, 1.0)),
        angle_deg=float(rng.uniform(0, 180)),
    )


def _positions(plan: SurveyPlan, seed: int) -> np.ndarray:
    """Choose right ascension and declination (deg), shape (n, 2), no two within `SEPARATION_ARCSEC`.

    All but the pool lie where SDSS and DES overlap, in and around Stripe 82; the pool is to the south.
    """
    rng = random_stream(seed, 0, "survey")
    total = sum(size for _, size, _ in plan.members())
    in_pool = np.arange(total) >= total - plan.pool
    sky = np.empty((total, 2))
    waiting = np.arange(total)
    while waiting.size:
        sky[waiting] = _anywhere(rng, in_pool[waiting])
        waiting = _too_close(sky)
    return sky


def _anywhere(rng: np.random.Generator, in_pool: np.ndarray) -> np.ndarray:
    # Uniform on the sphere: uniform in right ascension and in the sine of the declination.
    low = np.sin(np.radians(np.where(in_pool, -60.0, -5.0)))
    high = np.sin(np.radians(np.where(in_pool, -6.0, 3.0)))
    ra = rng.uniform(310.0, 420.0, in_pool.size) % 360.0
    return np.column_stack([ra, np.degrees(np.arcsin(rng.uniform(low, high)))])


def _too_close(sky: np.ndarray) -> np.ndarray:
    """Find the later member of every pair that is too close."""
    ra, dec = np.radians(sky).T
    unit = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    pairs = cKDTree(unit).query_pairs(math.radians(SEPARATION_ARCSEC / 3600), output_type="ndarray")
    return np.unique(pairs.max(axis=1)) if len(pairs) else np.empty(0, dtype=np.int64)
