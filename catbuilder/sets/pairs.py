"""Find pairs of near objects on the sky inside DuckDB, by HEALPix cell, and reduce them to one-to-one pairs.

Each object of the smaller set is entered in a hash table under its cell and the neighbouring cells. The larger set is
streamed past the table by its own cell, which `objects.healpix` already holds. Memory grows with a batch of the smaller
set and with the pairs found, and not with the survey, so 10^8 objects are matched on a laptop, where a k-d tree of both
sets would not fit. The results are the temporary tables `candidates` and `pairs` of the connection.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.sky import cell_shift, search_order, with_neighbours

BATCH = 2_000_000  # objects of the smaller set at a time: nine cells each, 1 GB of hash table
MAX_RADIUS_ARCSEC = 60.0  # with a larger one nearly every object has candidates, and these fill the disc

Progress = Callable[[int, int], None]  # called with (objects done, objects in all)


@dataclass(frozen=True)
class Side:
    """One side of a match: the objects of a survey that have a position, or only those of certain origins."""

    survey: str
    origins: tuple[str, ...] | None = None

    @property
    def parameters(self) -> dict[str, object]:
        """Parameters for the queries."""
        return {"survey": self.survey, "origins": None if self.origins is None else list(self.origins)}


def check_radius(radius_arcsec: float) -> None:
    """Refuse a search radius outside the allowed range.

    Raises
    ------
    InputError
        The radius is not above 0 and up to 60 arcsec.
    """
    if not 0 < radius_arcsec <= MAX_RADIUS_ARCSEC:
        raise InputError(
            f"the radius is {radius_arcsec:g} arcsec; give one above 0 and up to {MAX_RADIUS_ARCSEC:g} arcsec"
        )


def find_candidates(
    con: Connection, a: Side, b: Side, radius_arcsec: float, progress: Progress | None = None
) -> tuple[int, int]:
    """Fill the temporary table `candidates` with every pair of objects within the radius.

    Its columns are `id_a`, `id_b` and `separation_arcsec` (great circle, by the haversine formula in double precision).

    Returns
    -------
    number of objects of `a` and of `b`
    """
    check_radius(radius_arcsec)
    sizes = tuple(fetch_number(con, query("sets/match_count_side"), side.parameters) for side in (a, b))
    small, large = (a, b) if sizes[0] <= sizes[1] else (b, a)
    order = search_order(radius_arcsec)
    con.execute(query("sets/match_create_candidates"))
    con.execute(query("sets/match_small_side"), small.parameters)
    of = min(sizes)
    for first in range(0, of, BATCH):
        where = {"shift": cell_shift(order), "first": first, "rows": BATCH}
        _make_cells(con, fetch_arrow(con, query("sets/match_small_batch"), where), order)
        with _joins_as_written(con):
            con.execute(
                query("sets/match_candidates"),
                {"shift": cell_shift(order), "radius_arcsec": radius_arcsec, "small_is_a": small is a}
                | large.parameters,
            )
        if progress:
            progress(min(first + BATCH, of), of)
    return sizes[0], sizes[1]


def pair_one_to_one(con: Connection) -> None:
    """Fill the temporary table `pairs` from `candidates`: the nearest pairs first, each object in one pair at most.

    Each step takes all candidates that are the nearest of both their objects, until none is left. This gives the pairs
    of greedy matching by increasing separation, since no nearer candidate can take either object later. Ties go to the
    lower ids. The column `contested` is true if either object had another candidate.
    """
    con.execute(query("sets/match_open_candidates"))
    con.execute(query("sets/match_uncontested"))
    con.execute(query("sets/match_drop_paired"))
    while fetch_number(con, "SELECT count(*) FROM open_candidates"):
        con.execute(query("sets/match_mutual_nearest"))
        con.execute(query("sets/match_drop_paired"))


@contextmanager
def temporary_survey(con: Connection, table: str, name: str) -> Iterator[None]:
    """Add the rows of a temporary table to the view `objects` as a survey, while the body runs.

    Parameters
    ----------
    table : with the columns row (which becomes the object's id), ra, dec and healpix (order 29, NULL without a
        position)
    name : the survey's name; must not be that of a survey of the workspace
    """
    (database,) = con.execute("SELECT current_database()").fetchall()[0]
    con.execute(
        f'CREATE TEMP VIEW objects AS SELECT * FROM "{database}".main.objects UNION ALL BY NAME '
        f"SELECT '{name}' AS survey, row AS object_id, ra, dec, healpix, 'compared' AS origin, 0 AS round, 0 AS run "
        f"FROM temp.{table}"
    )
    try:
        yield
    finally:
        con.execute("DROP VIEW temp.objects")


@contextmanager
def _joins_as_written(con: Connection) -> Iterator[None]:
    """Make DuckDB build the hash table from the right side of every join, as written.

    DuckDB assumes that an anti join keeps a fifth of its rows. After the two of `standing_objects_at` it estimated
    3 x 10^7 objects as 620,000, fewer than the 9,000,000 cells of the other side, and built the hash table from them.
    """
    con.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    try:
        yield
    finally:
        con.execute("RESET disabled_optimizers")


def _make_cells(con: Connection, batch: pa.Table, order: int) -> None:
    cells = with_neighbours(batch["cell"].to_numpy(), order)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(cells.ravel()), cells.shape[1])
    con.register("small_batch", batch.drop_columns(["cell"]).append_column("cells", lists))
    con.execute(query("sets/match_small_cells"))
    con.unregister("small_batch")
