"""Plan which objects are cut from which tile, and how wide.

Positions and radii come from the catalogue or from a user's table. An object on two tiles (DES tiles overlap) is cut
from the one where it is farther from the edge, and from the other one if pixels are missing there. A stamp that lacks
pixels is replaced by a better one from a new tile, so that the same tiles give the same stamps whether ingested one by
one or together; a complete stamp is kept. Surveys measure different radii, so widths are multiples of each survey's own
radius, chosen such that a galaxy gets about the same angle in all. The scatter of the two measurements remains, some
18 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from astropy.coordinates import angular_separation

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.latest_round_and_run import last_recording
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.settings import StampWidths
from catbuilder.core.sky import SAME_POSITION_ARCSEC, healpix_cell
from catbuilder.core.user_csv import (
    OBJECT_ID,
    BadValue,
    CsvRow,
    CsvRows,
    Rejection,
    number_column,
    parse_object_id,
    position_columns,
    read_table,
)
from catbuilder.ingest.tiles.tile_folder import Tile

_DES_ARCSEC_PER_PIXEL = 0.263
# The paper's boxes reach 12 x KRON_RADIUS px to each side of a DES galaxy (22 arcsec in all for most, since KRON_RADIUS
# is 3.5 semi-axes for most), and two Petrosian radii to each side of an SDSS galaxy.
_PAPER_KRON_PIXELS = 24.0
_PAPER_PETROSIAN_RADII = 4.0

_LIST_COLUMNS = (
    OBJECT_ID,
    *position_columns(required=True),
    number_column("radius_arcsec", 0.0, 1e5),
)

Floats = npt.NDArray[np.float64]
_Positions = dict[int, tuple[float | None, float | None]]  # ra, dec by object_id


@dataclass(frozen=True)
class CuttingPlan:
    """The stamps to cut, sorted by rank, tile and object_id; arrays have one entry per object and tile."""

    object_id: npt.NDArray[np.int64]
    name: list[str | None]
    tile: npt.NDArray[np.int64]  # number in the list of tiles
    x: Floats  # px, counted from 0
    y: Floats
    width: Floats  # of the box, px
    sized: list[str]  # how the width was chosen
    rank: npt.NDArray[np.int64]  # 0 is the object's best tile; the others are used if pixels are missing there
    edge: Floats  # how far inside the tile, arcsec, to 0.01; NaN of a whole cube
    cut_from: list[str | None]  # tile files of an earlier stamp that lacks pixels, which this one may replace
    cut_before: npt.NDArray[np.bool_]  # whether that stamp is older than this call
    edge_before: Floats  # the object's `edge` on that tile
    unchanged: int  # objects on these tiles that had a stamp before this call
    fresh: int  # objects without a stamp on these tiles
    added: int  # objects that a cube has added to the catalogue
    without_radius: int
    whole_cubes: tuple[str, ...]
    refused: tuple[Rejection, ...]  # cubes whose name is another object's

    def improves(self, row: int, files: str) -> bool:
        """Whether a stamp from these files that lacks pixels is better than none or than the earlier one."""
        before = self.cut_from[row]
        if before is None or self.edge[row] != self.edge_before[row]:
            return before is None or bool(self.edge[row] > self.edge_before[row])
        return Path(files).name < Path(before).name  # the same rule for ties as in _ranked


@dataclass(frozen=True)
class ObjectList:
    """The objects of the user's table; without a table, all of the catalogue are cut.

    Attributes
    ----------
    since : number of the last recording before anything was cut
    waiting : number of objects of the survey, or of the table, without a stamp
    """

    objects: tuple["_Listed", ...]
    is_given: bool
    rejections: tuple[Rejection, ...]
    unused_columns: tuple[str, ...]
    since: int
    waiting: int


@dataclass(frozen=True)
class _Listed:
    """An object of the user's table, or a cube that is one object."""

    object_id: int
    name: str | None
    ra: float
    dec: float
    radius_arcsec: float | None = None


def list_objects(workspace: Workspace, survey: str, table: Path | None, strict: bool) -> ObjectList:
    """Read the user's table, if there is one, and add objects that only it knows to the catalogue.

    Raises
    ------
    InputError
        The table cannot be used; if `strict`, a row of it.
    """
    listed, rows = _listed(workspace, survey, table)
    if strict and rows is not None:
        rows.refuse_rejections()
    _add_objects(workspace, survey, listed)
    with workspace.reading() as con:
        waiting = _count_waiting(con, survey, listed, table is not None)
        since = last_recording(con)
    rejections, unused = ((), ()) if rows is None else (tuple(rows.rejections), tuple(rows.unused))
    return ObjectList(tuple(listed), table is not None, rejections, unused, since, waiting)


def plan_cutting(
    workspace: Workspace, tiles: list[Tile], survey: str, widths: "Widths", listed: ObjectList
) -> CuttingPlan:
    """Plan the stamps to cut, and add objects that only a cube knows to the catalogue."""
    with workspace.reading() as con:
        found = _on_tiles(con, tiles, survey)
    cubes: dict[int, _Listed] = {}
    refused: dict[int, Rejection] = {}
    added = 0
    if listed.is_given:
        found = _keep(found, np.isin(found["object_id"], [one.object_id for one in listed.objects]))
        _fill_radii(found, listed.objects)
    else:
        cubes, refused = _whole_cubes(workspace, survey, tiles, found)
        added = _add_objects(workspace, survey, list(cubes.values()))
        own = [one.object_id for one in cubes.values()]
        taken = np.isin(found["tile"], [*cubes, *refused]) | np.isin(found["object_id"], own)
        found = _keep(found, ~taken)
    return _planned(tiles, found, cubes, widths, listed.since, added, tuple(refused.values()))


def _planned(
    tiles: list[Tile], found: dict[str, np.ndarray], cubes: dict[int, _Listed], rule: "Widths", since: int, added: int,
    refused: tuple[Rejection, ...],
) -> CuttingPlan:  # fmt: skip
    earlier = found["stamped"] & (found["stamp_run"] <= since)
    on_tiles = np.unique(found["object_id"][earlier])
    files = np.array([tile.files for tile in tiles], object)[found["tile"]]
    found = _keep(found, ~found["stamped"] | (found["cut_from"] != None) & (found["cut_from"] != files))  # noqa: E711
    found, rank = _ranked(found, tiles)
    scale = np.array([tile.arcsec_per_pixel for tile in tiles])[found["tile"]]
    width, unknown = rule.pixels(found["radius_arcsec"], found["kron_radius"], scale)
    whole = [(one.object_id, one.name, number, *_centre(tiles[number])) for number, one in cubes.items()]
    nowhere = np.full(len(whole), np.nan)
    fresh = (rank == 0) & ~found["stamped"]
    return CuttingPlan(
        object_id=np.array([*found["object_id"], *(row[0] for row in whole)], np.int64),
        name=[*found["name"], *(row[1] for row in whole)],
        tile=np.array([*found["tile"], *(row[2] for row in whole)], np.int64),
        x=np.array([*found["x"], *(row[3] for row in whole)], np.float64),
        y=np.array([*found["y"], *(row[4] for row in whole)], np.float64),
        width=np.array([*width, *(min(tiles[row[2]].shape) for row in whole)], np.float64),
        sized=[rule.unknown if missing else rule.name for missing in unknown] + ["the whole cube"] * len(whole),
        rank=np.append(rank, np.zeros(len(whole), np.int64)),
        edge=np.append(found["edge"], nowhere),
        cut_from=[*found["cut_from"], *(None for _ in whole)],
        cut_before=np.append(found["stamp_run"] <= since, np.zeros(len(whole), bool)),
        edge_before=np.append(found["edge_before"], nowhere),
        unchanged=len(np.setdiff1d(on_tiles, found["object_id"])),
        fresh=int(fresh.sum()) + len(whole),
        added=added,
        without_radius=int(unknown[fresh].sum()),
        whole_cubes=tuple(tiles[number].name for number in cubes),
        refused=refused,
    )


def _fill_radii(found: dict[str, np.ndarray], listed: Sequence[_Listed]) -> None:
    """Use the table's radius for objects without one in the catalogue."""
    given = {one.object_id: one.radius_arcsec for one in listed if one.radius_arcsec}
    theirs = [given.get(object_id, np.nan) for object_id in found["object_id"].tolist()]
    radius = found["radius_arcsec"]
    found["radius_arcsec"] = np.where(radius > 0, radius, np.array(theirs, np.float64))


class Widths:
    """Computes the width of an object's box; raises InputError if `size` is neither a number of radii nor `paper`."""

    def __init__(self, limits: StampWidths, survey: str, size: str | None) -> None:
        self._limits, self._paper = limits, size == "paper"
        self._radii = limits.radii.get(survey, limits.other_radii)
        if self._paper and survey not in ("des", "sdss"):
            raise InputError(f"--size paper is for des and sdss only; give --size as a number of radii for {survey}")
        self._kron = self._paper and survey == "des"
        if self._paper:
            self._radii = _PAPER_PETROSIAN_RADII
        elif size is not None:
            self._radii = _parse_radii(size)
        self.name = "paper" if self._paper else f"{self._radii:g} radii"
        self.unknown = f"{limits.unknown_arcsec:g} arcsec (no radius)"

    def pixels(self, radius_arcsec: Floats, kron_radius: Floats, scale: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Widths in pixels of `scale` arcsec, and which are the default width because the radius is unknown."""
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
        raise InputError(f"--size is '{size}'; give 'paper', or the width in radii, such as 2.25")
    return radii


def _listed(workspace: Workspace, survey: str, path: Path | None) -> tuple[list[_Listed], CsvRows | None]:
    """Good rows of the user's table; an id that the catalogue has at another position is rejected."""
    if path is None:
        return [], None
    table = read_table(path, _LIST_COLUMNS, limits=workspace.config.limits)
    rows = []
    for row in table.rows:
        if row["ra"] is None or row["dec"] is None:
            table.reject(row.number, row.cells, "ra or dec is empty; without a position nothing can be cut")
        else:
            object_id, name = row["object_id"]
            rows.append((row, _Listed(object_id, name, row["ra"], row["dec"], row["radius_arcsec"])))
    known = _known_positions(workspace, survey, [one for _, one in rows])
    listed = [one for row, one in rows if _at_known_position(table, row, one, known)]
    return listed, table


def _at_known_position(table: CsvRows, row: CsvRow, one: _Listed, known: _Positions) -> bool:
    ra, dec = known.get(one.object_id, (one.ra, one.dec))
    if ra is None or dec is None:
        table.reject(row.number, row.cells, "the catalogue has it already without a position, which cannot be changed")
        return False
    apart = 3600 * np.degrees(angular_separation(*np.radians([ra, dec, one.ra, one.dec])))
    if apart > SAME_POSITION_ARCSEC:
        reason = f"the catalogue has it already at {ra}, {dec}, {apart:.0f} arcsec away; is the id right?"
        table.reject(row.number, row.cells, reason)
        return False
    return True


def _count_waiting(con: Connection, survey: str, listed: list[_Listed], is_given: bool) -> int:
    """How many objects of the survey, or of the table, have no stamp."""
    con.register("wanted", pa.table({"object_id": pa.array([one.object_id for one in listed], pa.int64())}))
    return fetch_number(con, query("ingest/count_objects_without_stamp"), {"survey": survey, "listed": is_given})


def _known_positions(workspace: Workspace, survey: str, wanted: list[_Listed]) -> _Positions:
    """Positions of those objects that the catalogue has."""
    if not wanted:
        return {}
    with workspace.reading() as con:
        con.register("wanted", pa.table({"object_id": pa.array([one.object_id for one in wanted], pa.int64())}))
        return {row[0]: row[1:3] for row in con.execute(query("ingest/known_positions"), {"survey": survey}).fetchall()}


def _add_objects(workspace: Workspace, survey: str, listed: list[_Listed]) -> int:
    """Record the objects that the catalogue does not have, and give their number."""
    if not listed:
        return 0
    known = _known_positions(workspace, survey, listed)
    fresh = [one for one in listed if one.object_id not in known]
    if not fresh:
        return 0
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
        recording.con.execute(query("ingest/record_objects"), {"round": recording.round, "run": recording.run})
    return len(fresh)


def _on_tiles(con: Connection, tiles: list[Tile], survey: str) -> dict[str, np.ndarray]:
    """Every object of the survey that lies on a tile, once per tile, with its pixel position there."""
    con.register("circles", circles(tiles))
    near = fetch_arrow(con, query("ingest/objects_near_tiles"), {"survey": survey})
    found = {name: near[name].to_numpy() for name in near.column_names}
    for name in ("radius_arcsec", "kron_radius"):
        found[name] = near[name].to_numpy().astype(np.float64)  # NULL becomes NaN
    found |= {name: np.full(near.num_rows, np.nan) for name in ("x", "y", "edge")}
    for number in np.unique(found["tile"]):
        here, tile = found["tile"] == number, tiles[number]
        x, y = tile.pixels(found["ra"][here], found["dec"][here])
        found["x"][here], found["y"][here], found["edge"][here] = x, y, tile.edge_distance(x, y)
    inside = found["edge"] > 0
    found["edge"] = np.round(found["edge"], 2)  # rounded as it is recorded, so that two commands choose as one does
    return _keep(found, inside)


def circles(tiles: Sequence[Tile]) -> pa.Table:
    """Give a circle on the sky that contains each tile (deg), with the half width in right ascension."""
    rows = []
    for number, tile in enumerate(tiles):
        ra, dec, radius = tile.circle()
        # The half width in right ascension that contains the circle; it grows towards the poles.
        polar = abs(dec) + radius >= 90
        half = 180.0 if polar else float(np.degrees(np.arcsin(np.sin(np.radians(radius)) / np.cos(np.radians(dec)))))
        rows.append({"tile": number, "ra": ra, "dec": dec, "radius": radius, "half_ra": half})
    return pa.Table.from_pylist(rows)


def _whole_cubes(
    workspace: Workspace, survey: str, tiles: list[Tile], found: dict[str, np.ndarray]
) -> tuple[dict[int, _Listed], dict[int, Rejection]]:
    """Find small cubes that are one object each, by number, and refuse those whose name belongs to another object.

    A cube is one object if no catalogued object lies on it. Objects from other images count only at its centre, since
    a neighbour on two overlapping cubes is no reason to leave one out. A cube whose name the catalogue has without an
    image is that object, from an ingest that was interrupted.
    """
    whole: dict[int, _Listed] = {}
    for number, tile in enumerate(tiles):
        if not tile.may_be_one_object:
            continue
        object_id, name = _named_by(tile)
        x, y = _centre(tile)
        here = found["tile"] == number
        own = here & (found["object_id"] == object_id)
        off = np.hypot(found["x"] - x, found["y"] - y) * tile.arcsec_per_pixel > SAME_POSITION_ARCSEC
        others = here & ~(found["from_images"] & off) & ~own
        if not found["stamped"][own].all() or not (own.any() or others.any()):
            centre = tile.sky(x, y)
            whole[number] = _Listed(object_id, name, float(centre.ra.deg), float(centre.dec.deg))
    known = _known_positions(workspace, survey, list(whole.values()))
    refused: dict[int, Rejection] = {}
    seen: dict[int, str] = {}
    for number, one in whole.items():
        file = tiles[number].files
        reason = _name_conflict(one, known) or (
            f"it has the same object id as {seen[one.object_id]}; rename one of them" if one.object_id in seen else None
        )
        if reason:
            refused[number] = Rejection(file, 0, str(one.object_id), reason)
        seen.setdefault(one.object_id, Path(file).name)
    return {number: one for number, one in whole.items() if number not in refused}, refused


def _name_conflict(one: _Listed, known: _Positions) -> str | None:
    """The reason why a cube cannot be the object that its name says, or None."""
    ra, dec = known.get(one.object_id, (one.ra, one.dec))
    name = one.name or one.object_id
    if ra is None or dec is None:
        return f"its name is that of object {name}, which the catalogue has without a position; rename the file"
    apart = 3600 * np.degrees(angular_separation(*np.radians([ra, dec, one.ra, one.dec])))
    if apart > SAME_POSITION_ARCSEC:
        return f"its name is that of object {name} at {ra}, {dec}, {apart:.0f} arcsec from its middle; rename the file"
    return None


def _named_by(tile: Tile) -> tuple[int, str | None]:
    """Object id of a cube: its name, read like an id in a table."""
    try:
        return parse_object_id(tile.name)
    except BadValue:  # a name like 1e5.fits is allowed
        return parse_object_id(f"{tile.name}.fits")


def _centre(tile: Tile) -> tuple[float, float]:
    return (tile.shape[1] - 1) / 2, (tile.shape[0] - 1) / 2


def _ranked(found: dict[str, np.ndarray], tiles: list[Tile]) -> tuple[dict[str, np.ndarray], npt.NDArray[np.int64]]:
    """Sort by rank, tile and object; rank 0 is the tile where the object is farthest from the edge."""
    names = [Path(tile.files).name for tile in tiles]
    place = np.argsort(np.argsort(names, kind="stable"))[found["tile"]]  # breaks ties
    order = np.lexsort((place, -found["edge"], found["object_id"]))
    ids = found["object_id"][order]
    first = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])) if len(ids) else np.empty(0, np.int64)
    rank = np.arange(len(ids)) - np.repeat(first, np.diff(np.append(first, len(ids))))
    sorted_ = np.lexsort((ids, found["tile"][order], rank))
    return _keep(found, order[sorted_]), rank[sorted_]


def _keep(found: dict[str, np.ndarray], which: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[which] for name, values in found.items()}
