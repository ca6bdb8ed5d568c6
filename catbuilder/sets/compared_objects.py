"""Read the objects that the firewall compares: only those that a position or a picture may exclude, some at a time.

Of a survey's 300 million objects hardly any lies near a test galaxy. One pass over the positions finds those that do,
and of these alone stamps, splits and test sets are read. An object without a position can only be told by its picture,
so all of them are read if any test galaxy has one. A test galaxy without a position is looked for everywhere: then
every object is read, and every stamp.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.core.resources import query
from catbuilder.core.sky import cell_shift, healpix_cell, search_order, with_neighbours

GALAXY_RADII = 2.0
"""The firewall's radius in Petrosian or Kron radii of the galaxy (`objects.radius_arcsec`)."""

MAX_RADIUS_ARCSEC = 120.0
"""Largest radius that a galaxy's size gives, since a wrong size must not empty the sky. Of the 16,982 galaxies that
SDSS and DES share, 14 reach it by their Kron radius; the median radius is 18.5 arcsec."""

_AT_ONCE = 250_000  # objects in memory
_FEW = 100_000  # objects of a catalogue that is read whole
_LARGE = ("objects", "splits", "stamps")
_READ = (*_LARGE, "aliases", "revisions")
_ORDER = [(name, "ascending") for name in ("survey", "object_id", "is_image", "stamp_of")]


class ComparedObjects:
    """Objects with their position, size and good stamp.

    Tables have the columns survey, object_id, ra, dec, radius_arcsec, test_set, calibrates, shard, row, is_image and
    stamp_of, in the order of survey and object_id. An image of a catalogued object is a row beside that object's own.

    Attributes
    ----------
    tests : members of test sets
    calibration : calibration objects that are no test objects
    """

    def __init__(self, con: Connection, least_arcsec: float) -> None:
        self._con, self._least_arcsec, self._found_members = con, least_arcsec, False
        self._whole = fetch_number(con, "SELECT count(*) FROM objects") <= _FEW
        self._look_at("SELECT survey, object_id FROM aliases UNION SELECT survey, of_object_id FROM aliases")
        with restricted_to(con, "looked_at", gathered=_LARGE, read=_READ):
            self._images = fetch_arrow(con, query("sets/firewall_images"))
        self._look_at("SELECT survey, object_id FROM test_sets "
                      "UNION SELECT survey, object_id FROM splits WHERE split = 'calibration'")  # fmt: skip
        members = pa.concat_tables([self._objects(), self._images]).sort_by(_ORDER)
        is_test = members["test_set"].is_valid()
        self.tests = members.filter(is_test)
        self.calibration = members.filter(pc.and_(members["calibrates"], pc.invert(is_test)))

    def named(self, pairs: pa.Table) -> pa.Table:
        """Read the objects that a table with the columns survey and object_id names."""
        self._con.register("named", pairs.select(["survey", "object_id"]))
        self._look_at("SELECT DISTINCT survey, object_id FROM named")
        self._con.unregister("named")
        images = self._images.join(
            fetch_arrow(self._con, "SELECT survey, object_id FROM looked_at"),
            ["survey", "object_id"],
            join_type="left semi",
        ).select(self._images.column_names)
        return pa.concat_tables([self._objects(), images]).sort_by(_ORDER)

    def possible_copies(self, placed: pa.Table, pictured: pa.Table) -> Iterator[pa.Table]:
        """Read all objects that may lie near one of `placed`, or show the picture of one of `pictured`."""
        self._find(placed, pictured)
        yield from self._found()

    def possible_copies_of_members(self) -> Iterator[pa.Table]:
        """Read the possible copies of tests and of calibration objects, which one pass over the positions finds."""
        if not self._found_members:
            members = pa.concat_tables([self.tests, self.calibration])
            self._find(members, members)
            self._con.execute(
                "CREATE OR REPLACE TEMP TABLE beside_members AS SELECT * FROM temp.considered ORDER BY ALL"
            )
            self._found_members = True
        yield from self._found("beside_members")

    def _find(self, placed: pa.Table, pictured: pa.Table) -> None:
        """Make the temporary table `considered` of all possible copies."""
        pictured = pictured.filter(pictured["shard"].is_valid())
        chosen = {
            "all": self._whole or pictured["ra"].null_count > 0,
            "unplaced": pictured.num_rows > 0,
            "radii": GALAXY_RADII,
            "largest": MAX_RADIUS_ARCSEC,
            "shift": self._mark_around(placed),
        }
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE considered AS {query('sets/firewall_candidates')}", chosen)

    def _found(self, table: str = "considered") -> Iterator[pa.Table]:
        considered = fetch_number(self._con, f"SELECT count(*) FROM temp.{table}")
        for first in range(0, max(considered, 1), _AT_ONCE):
            self._look_at(
                f"SELECT survey, object_id FROM temp.{table} WHERE rowid BETWEEN {first} AND {first + _AT_ONCE - 1}"
            )
            last = first + _AT_ONCE >= considered
            yield pa.concat_tables([self._objects(), self._images if last else self._images.slice(0, 0)]).sort_by(
                _ORDER
            )

    def radii(self, objects: pa.Table) -> np.ndarray:
        """Give the radius around each object, arcsec; a size that is unknown or not positive gives the least."""
        size = objects["radius_arcsec"].to_numpy().astype(np.float64)  # NULL becomes NaN
        of_size = np.where(size > 0, np.minimum(GALAXY_RADII * size, MAX_RADIUS_ARCSEC), 0.0)
        return np.maximum(self._least_arcsec, of_size)

    def _mark_around(self, objects: pa.Table) -> int:
        """Make the temporary table `around`, of positions in each cell that they reach; give the cells' shift."""
        objects = objects.filter(objects["ra"].is_valid())
        order = search_order(max(MAX_RADIUS_ARCSEC, self._least_arcsec))
        ra, dec = (objects[name].to_numpy() for name in ("ra", "dec"))
        cells = with_neighbours(healpix_cell(ra, dec) >> cell_shift(order), order)
        each = cells.shape[1]
        reach = 1.001 * max(MAX_RADIUS_ARCSEC, self._least_arcsec) / 3600  # degrees
        # how far a circle reaches in right ascension: up to the pole, everywhere
        nearest_pole = np.minimum(np.abs(dec) + reach, 90.0)
        reach_ra = np.where(nearest_pole < 89.9, reach / np.cos(np.radians(np.minimum(nearest_pole, 89.9))), 360.0)
        columns = {"ra": ra, "dec": dec, "radius_arcsec": self.radii(objects), "reach_ra": reach_ra}
        columns["reach_dec"] = np.full(len(ra), reach)
        table = pa.table({"cell": cells.ravel(), **{name: np.repeat(column, each) for name, column in columns.items()}})
        self._con.register("reached", table.filter(pc.greater_equal(table["cell"], 0)))
        self._con.execute("CREATE OR REPLACE TEMP TABLE around AS SELECT * FROM reached")
        self._con.unregister("reached")
        return cell_shift(order)

    def _look_at(self, text: str) -> None:
        self._con.execute(f"CREATE OR REPLACE TEMP TABLE looked_at AS {text}")

    def _objects(self) -> pa.Table:
        with restricted_to(self._con, "looked_at", gathered=_LARGE, read=_READ):
            return fetch_arrow(self._con, query("sets/firewall_objects"))
