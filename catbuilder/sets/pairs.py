"""Who stands near whom, inside DuckDB: candidate pairs of two sets of objects by HEALPix cell, and one to one.

The smaller set gets its cells and their neighbours and becomes a hash table; the larger one streams past it by its
own cell, which `objects.healpix` holds already. Memory follows a batch of the smaller set and the pairs found, not
the survey, so 10^8 objects are matched on a laptop; a k-d tree over both sets in memory is left to those who have
the memory. What is found stays in temporary tables of the connection, `candidates` and `pairs`.
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
LARGEST_RADIUS_ARCSEC = 60.0  # beyond it nearly everything is near something, and the candidates fill the disc

Progress = Callable[[int, int], None]  # (done, of)


@dataclass(frozen=True)
class Side:
    """The standing objects of a survey that have a position, or those of certain origins alone."""

    survey: str
    origins: tuple[str, ...] | None = None

    @property
    def parameters(self) -> dict[str, object]:
        """What the queries bind."""
        return {"survey": self.survey, "origins": None if self.origins is None else list(self.origins)}


def check_radius(radius_arcsec: float) -> None:
    """Refuse a radius at which a match means nothing.

    Raises
    ------
    InputError
        Not above 0 and up to 60 arcsec.
    """
    if not 0 < radius_arcsec <= LARGEST_RADIUS_ARCSEC:
        raise InputError(
            f"the radius is {radius_arcsec:g} arcsec; give one above 0 and up to {LARGEST_RADIUS_ARCSEC:g} arcsec"
        )


def find_candidates(
    con: Connection, a: Side, b: Side, radius_arcsec: float, progress: Progress | None = None
) -> tuple[int, int]:
    """Fill the temporary table `candidates` with every pair within the radius.

    Its columns are `id_a`, `id_b` and `separation_arcsec` (great circle, by the haversine in double precision).

    Returns
    -------
    objects of `a` and of `b`
    """
    check_radius(radius_arcsec)
    sizes = tuple(fetch_number(con, query("sets/match_side_size"), side.parameters) for side in (a, b))
    small, large = (a, b) if sizes[0] <= sizes[1] else (b, a)
    order = search_order(radius_arcsec)
    con.execute(query("sets/match_empty_candidates"))
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
    """Fill the temporary table `pairs` from `candidates`: the nearest pair first, each object once at most.

    Taking all candidates that are the nearest of both their objects, again and again until none is left, gives the
    pairs of the greedy matching by increasing separation, since nothing nearer can ever take either of the two. Ties
    go to the lower ids. The column `contested` is true where either object had another candidate.
    """
    con.execute(query("sets/match_open"))
    con.execute(query("sets/match_uncontested"))
    con.execute(query("sets/match_close_taken"))
    while fetch_number(con, "SELECT count(*) FROM open_candidates"):
        con.execute(query("sets/match_take_mutual"))
        con.execute(query("sets/match_close_taken"))


@contextmanager
def guests(con: Connection, table: str, name: str) -> Iterator[None]:
    """While the body runs, the rows of a temporary table are objects of the catalogue too, of a survey of that name.

    Parameters
    ----------
    table : with the columns row, which becomes the object's id, ra, dec and healpix (order 29, NULL without a position)
    name : no name of a survey, so that nothing else is known of its objects
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
    """Hash the right side of every join, as written.

    DuckDB takes an anti join to keep a fifth of its rows. After the two of `standing_objects_at` it thought 3 x 10^7
    objects to be 620,000, fewer than the 9,000,000 cells of the other side, and made them the hash table.
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
