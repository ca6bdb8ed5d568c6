"""Choose the galaxies of a simulated survey: how many of each class, where they lie, and which had clean votes.

All galaxies are drawn alike (`shapes`), easy and difficult ones. Those of the training set and of HP have clean votes
(`volunteers`): candidates are drawn until the votes on one pass the cut. So the training set lacks what volunteers
cannot tell, and a few of its labels are wrong; the pool has everything. Images are drawn elsewhere (`telescopes`).
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import cKDTree

from catbuilder.simulation.exposures import draw_exposures
from catbuilder.simulation.galaxy import Companion, Exposure, Fault, Galaxy, Label, SetName, random_stream
from catbuilder.simulation.shapes import draw_shape, draw_star, red_minus_infrared
from catbuilder.simulation.volunteers import Votes, cast_votes

FAULTS: tuple[Fault, ...] = ("blank", "saturated", "blended", "star")
SEPARATION_ARCSEC = 40.0  # well beyond the firewall's 5 arcsec and the stamps' half diagonal
_SPIRALS = 0.6  # share of spirals among the galaxies of the sky
_WITH_VOTES: tuple[SetName, ...] = ("training", "hp", "fo")  # what SDSS saw
_WITH_CLEAN_VOTES: tuple[SetName, ...] = ("training", "hp")


@dataclass(frozen=True)
class SurveyPlan:
    """Numbers of galaxies in each set. Both surveys see HP and FO; SDSS alone sees training, DES alone the rest.

    `faults` of the pool's members are, in equal shares, blank, saturated and blended stamps, and stars. The galaxies of
    the training set and of HP are counted after the cut on the volunteers' votes.

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
        """Yield the name, size and number of spirals of each set: by votes in training and HP, in truth elsewhere."""
        shares: tuple[tuple[SetName, int, float], ...] = (
            ("training", self.training, 0.5),
            ("hp", self.hp, 0.5),
            ("fo", self.fo, 0.53),
            # The same share as the pool: errors counted in the calibration set stand for those of the pool.
            ("calibration", self.calibration, _SPIRALS),
            ("pool", self.pool, _SPIRALS),
        )
        for name, size, spiral_share in shares:
            yield name, size, round(size * spiral_share)


def draw_galaxies(plan: SurveyPlan, seed: int) -> list[Galaxy]:
    """Make every object of the plan, in the order training, HP, FO, calibration, pool."""
    return [galaxy for galaxy, _ in draw_voted_galaxies(plan, seed)]


def draw_voted_galaxies(plan: SurveyPlan, seed: int) -> list[tuple[Galaxy, Votes | None]]:
    """Make every object of the plan, in the same order, and the votes on those that SDSS saw."""
    positions = _positions(plan, seed)
    exposures = [draw_exposures(positions, survey, seed) for survey in ("sdss", "des")]
    made: list[tuple[Galaxy, Votes | None]] = []
    for set_name, size, spirals in plan.members():
        faults = _faults_of(plan) if set_name == "pool" else {}
        for k in range(size):
            number = len(made)
            ra, dec = positions[number].tolist()
            sdss, des = (of_survey[number] for of_survey in exposures)
            place = _Place(number, set_name, faults.get(k, ""), ra, dec, sdss, des)
            made.append(_choose(place, "spiral" if k < spirals else "elliptical", seed))
    return made


@dataclass(frozen=True)
class _Place:
    """A place in the plan that a galaxy fills, and the sky there."""

    number: int
    set_name: SetName
    fault: Fault
    ra: float
    dec: float
    sdss: Exposure
    des: Exposure


def _choose(place: _Place, label: Label, seed: int) -> tuple[Galaxy, Votes | None]:
    """Draw the galaxy of a place: one of class `label` or, where votes choose, the first that they surely call so."""
    rng, voters = random_stream(seed, place.number, "truth"), random_stream(seed, place.number, "votes")
    if place.set_name not in _WITH_CLEAN_VOTES:
        galaxy = _draw(rng, place, label)
        return galaxy, cast_votes(galaxy, voters) if place.set_name in _WITH_VOTES else None
    while True:
        galaxy = _draw(rng, place, "spiral" if rng.random() < _SPIRALS else "elliptical")
        votes = cast_votes(galaxy, voters)
        if votes.clean and votes.label == label:
            return galaxy, votes


def _faults_of(plan: SurveyPlan) -> dict[int, Fault]:
    # Every k-th member of the pool, so that spirals and ellipticals are affected alike.
    if not plan.faults:
        return {}
    step = plan.pool // plan.faults
    return {k * step: FAULTS[k % len(FAULTS)] for k in range(plan.faults)}


def _draw(rng: np.random.Generator, place: _Place, label: Label) -> Galaxy:
    if place.fault == "star":
        shape, label = draw_star(rng), "star"
    else:
        shape = draw_shape(rng, label)
    return Galaxy(
        **vars(place),
        label="none" if place.fault == "blank" else label,
        position_angle_deg=float(rng.uniform(0, 180)),
        companions=_companions(rng, place.fault, shape["mag_r"]),
        **shape,
    )


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
        r_i=red_minus_infrared(rng, colour),
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
