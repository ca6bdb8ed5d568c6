"""Split validation objects off by sky neighbourhood, or by equal pictures where positions are missing, and not by id.

If images of one galaxy were on both sides, the validation loss would measure memory. A neighbourhood is drawn by a hash
of its name, so it is on the same side in every round and for every seed.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_slices
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query
from catbuilder.core.sky import NEIGHBOURHOOD_ORDER, cell_shift, nearest, neighbourhood
from catbuilder.sets.firewall import read_stamps
from catbuilder.sets.same_picture import same_picture

_AT_ONCE = 2**18  # candidates in memory


def in_validation(cells: pa.ChunkedArray, fraction: float) -> list[bool]:
    """Test whether the sky neighbourhood of each order-29 HEALPix cell is drawn for validation, as in every round."""
    return [cell is not None and _draw(_sky_group(int(neighbourhood(cell)))) < fraction for cell in cells.to_pylist()]


def split_off_validation(workspace: Workspace, con: Connection, fraction: float, radius_arcsec: float) -> None:
    """Make the temporary tables `grouped` and `near_validation` of the objects in the temporary table `candidates`.

    `grouped` has the group of each candidate and whether it validates; `near_validation` the candidates within the
    radius of a validation object, since a neighbour may lie beyond the edge of a cell. Both name candidates by `place`,
    their row.
    """
    sky, unplaced = _groups(workspace, con, fraction)
    con.register("sky_groups", sky)
    con.register("unplaced_groups", unplaced)
    shift = cell_shift(NEIGHBOURHOOD_ORDER)
    con.execute(f"CREATE OR REPLACE TEMP TABLE grouped AS {query('sets/training_groups')}", {"shift": shift})
    con.register("near", pa.table({"place": pa.array(_near_validation(con, radius_arcsec), pa.int64())}))
    con.execute("CREATE OR REPLACE TEMP TABLE near_validation AS SELECT place FROM near")
    for name in ("sky_groups", "unplaced_groups", "near"):
        con.unregister(name)


def _groups(workspace: Workspace, con: Connection, fraction: float) -> tuple[pa.Table, pa.Table]:
    """Find the groups that must not be split: a sky neighbourhood and all copies of its pictures.

    Returns
    -------
    the group of each neighbourhood (cell, part, drawn), and that of each candidate without a position (place, part,
    drawn)
    """
    sky = fetch_arrow(con, query("sets/training_neighbourhoods"), {"shift": cell_shift(NEIGHBOURHOOD_ORDER)})
    lone = fetch_arrow(con, "SELECT rowid AS place, survey, object_id, shard, row FROM temp.candidates "
                            "WHERE healpix IS NULL ORDER BY rowid")  # fmt: skip
    cells, places = sky["cell"].to_numpy(), lone["place"].to_numpy()
    names = [_sky_group(cell) for cell in cells.tolist()]
    names += [f"{survey} {number}" for survey, number in zip(*(lone[c].to_pylist() for c in _KEYS), strict=True)]
    group = np.arange(len(names))
    if lone.num_rows:
        rows, columns = _same_pictures(workspace, con, cells, lone)
        graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
        _, group = connected_components(graph, directed=False)
    name_of: dict[int, str] = {}  # that of a neighbourhood if there is one, so that later copies do not change the draw
    first = np.concatenate([sky["first"].to_numpy(), places])
    for i in np.lexsort((first, np.arange(len(names)) >= len(cells))):
        name_of.setdefault(group[i], names[i])
    drawn = {number: _draw(name) < fraction for number, name in name_of.items()}

    def groups_of(key: str, keys: npt.NDArray[np.int64], part: npt.NDArray[np.int64]) -> pa.Table:
        return pa.table({key: keys, "part": part, "drawn": pa.array([drawn[g] for g in part], pa.bool_())})

    return groups_of("cell", cells, group[: len(cells)]), groups_of("place", places, group[len(cells) :])


_KEYS = ("survey", "object_id")


def _same_pictures(
    workspace: Workspace, con: Connection, cells: npt.NDArray[np.int64], lone: pa.Table
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Find which candidates without a position show the picture of another candidate, as pairs of numbers.

    Numbers are those of the neighbourhoods, then those of the candidates without a position.
    """
    theirs, places, pairs = read_stamps(workspace, lone), lone["place"].to_numpy(), []
    for some in fetch_slices(con, "candidates", _AT_ONCE, "rowid AS place, healpix, shard, row"):
        for i, j, _ in same_picture(read_stamps(workspace, some), theirs):
            cell, place = some["healpix"][i].as_py(), some["place"][i].as_py()
            lies = (
                len(cells) + np.searchsorted(places, place)
                if cell is None
                else np.searchsorted(cells, neighbourhood(cell))
            )
            pairs.append((lies, len(cells) + j))
    found = np.array(pairs, np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _near_validation(con: Connection, radius_arcsec: float) -> npt.NDArray[np.int64]:
    """Find the places of candidates that do not validate, within the radius of one that does."""
    joined = "temp.candidates AS c JOIN temp.grouped AS g ON g.place = c.rowid WHERE c.ra IS NOT NULL AND"
    held = fetch_arrow(con, f"SELECT ra, dec FROM {joined} g.validates ORDER BY g.place")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE placed AS SELECT g.place, ra, dec FROM {joined} NOT g.validates ORDER BY g.place"
    )
    near = [np.empty(0, np.int64)]
    for some in fetch_slices(con, "placed", _AT_ONCE):
        _, separation = nearest(some["ra"], some["dec"], held["ra"], held["dec"])
        near.append(some["place"].to_numpy()[separation <= radius_arcsec])
    return np.concatenate(near)


def _sky_group(cell: int) -> str:
    return f"sky {cell}"


def _draw(group: str) -> float:
    """Compute a number in [0, 1) from the group's name, the same for every seed and round."""
    return int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big") / 2**64
