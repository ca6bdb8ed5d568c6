"""Which objects are cut out of which tile, and how wide: positions and radii of the catalogue, or of a user's table.

An object on two tiles (DES tiles overlap) is cut from the one where it is farther from the edge. A survey measures one
radius and another survey another, so widths are given in each one's own radii, chosen such that a galaxy gets about
the same angle in both; what remains is the scatter of the two measurements, some 18 %.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.coordinates import angular_separation

from catbuilder.catalog import Connection, fetch_arrow, fetch_number
from catbuilder.config import StampWidths
from catbuilder.errors import InputError
from catbuilder.resources import query
from catbuilder.sky import healpix_cell
from catbuilder.tables import BadValue, Rejection, Table, parse_number, parse_object_id, read_table
from catbuilder.tiles import Tile
from catbuilder.workspace import Workspace

_SAME_PLACE_ARCSEC = 5.0  # a row of a table that lies farther from the catalogue's position of its id has a wrong id
_DES_ARCSEC_PER_PIXEL = 0.263
# The paper's boxes reach 12 x KRON_RADIUS px to each side of a DES galaxy (22 arcsec in all for most, since KRON_RADIUS
# is 3.5 semi-axes for most), and two Petrosian radii to each side of an SDSS galaxy.
_PAPER_KRON_PIXELS = 24.0
_PAPER_PETROSIAN_RADII = 4.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cutting:
    """What is to be cut, sorted by tile and object_id, and what is not; arrays have one entry an object."""

    object_id: npt.NDArray[np.int64]
    name: list[str | None]
    tile: npt.NDArray[np.int64]  # number in the list of tiles
    x: Floats  # px, counted from 0
    y: Floats
    width: Floats  # of the box, px
    sized: list[str]  # how that width came about
    unchanged: int
    outside: int
    without_radius: int
    whole_cubes: tuple[str, ...]
    rejections: tuple[Rejection, ...]

    @property
    def count(self) -> int:
        """Objects to be cut."""
        return len(self.object_id)


@dataclass(frozen=True)
class _Listed:
    """An object that a table names, or a cube that is one."""

    object_id: int
    name: str | None
    ra: float
    dec: float
    radius_arcsec: float | None = None


def plan_cutting(workspace: Workspace, tiles: list[Tile], survey: str, size: str | None, table: Path | None) -> Cutting:
    """Decide what is cut; objects that only the table or a cube knows are recorded in the catalogue.

    Raises
    ------
    InputError
        `size` is neither a number of radii nor `paper`, or the table cannot be used.
    """
    rule = _Widths(workspace.config.stamps, survey, size)
    listed, rejections = _listed(workspace, survey, table)
    if table:
        _add_objects(workspace, survey, listed)
    with workspace.reading() as con:
        found = _on_tiles(con, tiles, survey)
        waiting = fetch_number(con, query("tile_waiting"), {"survey": survey})
    cubes: dict[int, _Listed] = {}
    if table:
        found = _keep(found, np.isin(found["object_id"], [one.object_id for one in listed]))
        waiting = len({one.object_id for one in listed} - set(found["object_id"][found["stamped"]].tolist()))
    else:
        cubes = _whole_cubes(tiles, found)
        _add_objects(workspace, survey, list(cubes.values()))
        own = [one.object_id for one in cubes.values()]
        found = _keep(found, ~np.isin(found["tile"], list(cubes)) & ~np.isin(found["object_id"], own))
    return _planned(tiles, _best_tile(found), cubes, rule, waiting, tuple(rejections))


def _planned(
    tiles: list[Tile], found: dict[str, np.ndarray], cubes: dict[int, _Listed], rule: "_Widths", waiting: int,
    rejections: tuple[Rejection, ...],
) -> Cutting:  # fmt: skip
    stamped = found["stamped"]
    found = _keep(found, ~stamped)
    scale = np.array([tile.arcsec_per_pixel for tile in tiles])[found["tile"]]
    width, unknown = rule.pixels(found["radius_arcsec"], found["kron_radius"], scale)
    whole = [(one.object_id, one.name, number, *_centre(tiles[number])) for number, one in cubes.items()]
    return Cutting(
        object_id=np.array([*found["object_id"], *(row[0] for row in whole)], np.int64),
        name=[*(None for _ in width), *(row[1] for row in whole)],
        tile=np.array([*found["tile"], *(row[2] for row in whole)], np.int64),
        x=np.array([*found["x"], *(row[3] for row in whole)], np.float64),
        y=np.array([*found["y"], *(row[4] for row in whole)], np.float64),
        width=np.array([*width, *(min(tiles[row[2]].shape) for row in whole)], np.float64),
        sized=[rule.unknown if missing else rule.name for missing in unknown] + ["the whole cube"] * len(whole),
        unchanged=int(stamped.sum()),
        outside=max(waiting - len(width), 0),
        without_radius=int(unknown.sum()),
        whole_cubes=tuple(tiles[number].name for number in cubes),
        rejections=rejections,
    )


class _Widths:
    """How wide the box of an object is."""

    def __init__(self, limits: StampWidths, survey: str, size: str | None) -> None:
        self._limits, self._paper = limits, size == "paper"
        self._radii = limits.radii.get(survey, limits.other_radii)
        if self._paper and survey not in ("des", "sdss"):
            raise InputError(f"--size paper is about des and sdss; give --size with a number of radii for {survey}")
        self._kron = self._paper and survey == "des"
        if self._paper:
            self._radii = _PAPER_PETROSIAN_RADII
        elif size is not None:
            self._radii = _parse_radii(size)
        self.name = "paper" if self._paper else f"{self._radii:g} radii"
        self.unknown = f"{limits.unknown_arcsec:g} arcsec (no radius)"

    def pixels(self, radius_arcsec: Floats, kron_radius: Floats, scale: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Widths in pixels of `scale` arcsec, and which are the default for want of a radius."""
        limits = self._limits
        box = _PAPER_KRON_PIXELS * _DES_ARCSEC_PER_PIXEL
        arcsec = box * kron_radius if self._kron else self._radii * radius_arcsec
        unknown = ~(arcsec > 0)
        arcsec = np.clip(np.where(unknown, limits.unknown_arcsec, arcsec), limits.min_arcsec, limits.max_arcsec)
        return np.clip(arcsec / scale, limits.min_px, limits.max_px), unknown


def _parse_radii(size: str) -> float:
    try:
        radii = float(size)
    except ValueError:
        radii = np.nan
    if not 0 < radii <= 100:
        raise InputError(f"--size is '{size}'; give 'paper', or how many radii wide a stamp is, like 2.25")
    return radii


def _listed(workspace: Workspace, survey: str, path: Path | None) -> tuple[list[_Listed], list[Rejection]]:
    """Good rows of the user's table; one whose id the catalogue has at another place is rejected."""
    if path is None:
        return [], []
    table = read_table(path, ["object_id", "ra", "dec"])
    rows = []
    for number, cells in table.rows:
        try:
            rows.append((number, cells, _parse(cells)))
        except BadValue as error:
            table.reject(number, cells, str(error))
    with workspace.reading() as con:
        con.register("wanted", pa.table({"object_id": pa.array([row[2].object_id for row in rows], pa.int64())}))
        known = {row[0]: row[1:3] for row in con.execute(query("known_positions"), {"survey": survey}).fetchall()}
    listed = [one for number, cells, one in rows if _at_known_place(table, number, cells, one, known)]
    return listed, table.rejections


def _parse(cells: dict[str, str]) -> _Listed:
    object_id, name = parse_object_id(cells["object_id"])
    ra, dec = parse_number(cells, "ra", 0.0, 360.0), parse_number(cells, "dec", -90.0, 90.0)
    if ra is None or dec is None:
        raise BadValue("ra or dec is empty; without a position nothing can be cut")
    return _Listed(object_id, name, ra, dec, parse_number(cells, "radius_arcsec", 0.0, 1e5))


def _at_known_place(
    table: Table, number: int, cells: dict[str, str], one: _Listed, known: dict[int, tuple[float | None, float | None]]
) -> bool:
    ra, dec = known.get(one.object_id, (one.ra, one.dec))
    if ra is None or dec is None:
        table.reject(number, cells, "the catalogue has it already without a position, which cannot be changed")
        return False
    apart = 3600 * np.degrees(angular_separation(*np.radians([ra, dec, one.ra, one.dec])))
    if apart > _SAME_PLACE_ARCSEC:
        table.reject(
            number, cells, f"the catalogue has it already at {ra}, {dec}, {apart:.0f} arcsec away; is the id right?"
        )
        return False
    return True


def _add_objects(workspace: Workspace, survey: str, listed: list[_Listed]) -> None:
    """Record those that the catalogue does not have."""
    if not listed:
        return
    with workspace.reading() as con:
        con.register("wanted", pa.table({"object_id": pa.array([one.object_id for one in listed], pa.int64())}))
        known = {row[0] for row in con.execute(query("known_positions"), {"survey": survey}).fetchall()}
    fresh = [one for one in listed if one.object_id not in known]
    if not fresh:
        return
    cells = healpix_cell([one.ra for one in fresh], [one.dec for one in fresh])
    empty = pa.nulls(len(fresh), pa.float32())
    incoming = pa.table(
        {
            "survey": pa.repeat(pa.scalar(survey), len(fresh)),
            "object_id": pa.array([one.object_id for one in fresh], pa.int64()),
            "name": pa.array([one.name for one in fresh], pa.string()),
            "ra": pa.array([one.ra for one in fresh], pa.float64()),
            "dec": pa.array([one.dec for one in fresh], pa.float64()),
            "healpix": pa.array(cells, pa.int64()),
            **dict.fromkeys(("mag_g", "mag_r", "mag_i"), empty),
            "radius_arcsec": pa.array([one.radius_arcsec for one in fresh], pa.float32()),
            "domain": pa.nulls(len(fresh), pa.string()),
        }
    )
    with workspace.recording(f"ingest tiles --survey {survey}: {len(fresh)} new objects") as recording:
        recording.con.register("incoming", incoming)
        recording.con.execute(query("record_objects"), {"round": recording.round, "run": recording.run})


def _on_tiles(con: Connection, tiles: list[Tile], survey: str) -> dict[str, np.ndarray]:
    """Every object of the survey that lies on a tile, once a tile, with its place there."""
    con.register("circles", _circles(tiles))
    near = fetch_arrow(con, query("tile_objects"), {"survey": survey})
    found = {name: near[name].to_numpy() for name in near.column_names}
    for name in ("radius_arcsec", "kron_radius"):
        found[name] = near[name].to_numpy().astype(np.float64)  # NULL becomes NaN
    found |= {name: np.full(near.num_rows, np.nan) for name in ("x", "y", "edge")}
    for number in np.unique(found["tile"]):
        here, tile = found["tile"] == number, tiles[number]
        x, y = tile.pixels(found["ra"][here], found["dec"][here])
        found["x"][here], found["y"][here], found["edge"][here] = x, y, tile.edge_distance(x, y)
    return _keep(found, found["edge"] > 0)


def _circles(tiles: list[Tile]) -> pa.Table:
    rows = []
    for number, tile in enumerate(tiles):
        ra, dec, radius = tile.circle()
        # Meridians crowd towards the poles: the half width in right ascension that holds the circle.
        polar = abs(dec) + radius >= 90
        half = 180.0 if polar else float(np.degrees(np.arcsin(np.sin(np.radians(radius)) / np.cos(np.radians(dec)))))
        rows.append({"tile": number, "ra": ra, "dec": dec, "radius": radius, "half_ra": half})
    return pa.Table.from_pylist(rows)


def _whole_cubes(tiles: list[Tile], found: dict[str, np.ndarray]) -> dict[int, _Listed]:
    """Small cubes that are one object each: those the catalogue has no object on, or has by their own name.

    The name counts first: of an ingest that was interrupted, or of two cutouts of one place, each cube keeps its own.
    """
    whole = {}
    for number, tile in enumerate(tiles):
        if not tile.may_be_one_object:
            continue
        object_id, name = _named_by(tile)
        here = found["tile"] == number
        own = here & (found["object_id"] == object_id)
        if not here.any() or (own.any() and not found["stamped"][own].any()):
            centre = tile.sky(*_centre(tile))
            whole[number] = _Listed(object_id, name, float(centre.ra.deg), float(centre.dec.deg))
    return whole


def _named_by(tile: Tile) -> tuple[int, str | None]:
    """Object id of a cube: its name, as an id in a table would be read."""
    try:
        return parse_object_id(tile.name)
    except BadValue:  # 1e5.fits is a fine name for a file
        return parse_object_id(f"{tile.name}.fits")


def _centre(tile: Tile) -> tuple[float, float]:
    return (tile.shape[1] - 1) / 2, (tile.shape[0] - 1) / 2


def _best_tile(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One row an object: the tile where it is farthest from the edge, the first of equals."""
    order = np.lexsort((found["tile"], -found["edge"], found["object_id"]))
    first = np.ones(len(order), bool)
    first[1:] = found["object_id"][order][1:] != found["object_id"][order][:-1]
    best = order[first]
    return _keep(found, best[np.lexsort((found["object_id"][best], found["tile"][best]))])


def _keep(found: dict[str, np.ndarray], which: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[which] for name, values in found.items()}
