"""Firewall: exclude test and calibration galaxies, and anything that may be one, from training and promotion.

An object may be a test galaxy under another name if it is matched with one in another survey, lies within a radius of
one, or, if either has no position, shows the same picture. Members themselves (the same survey and id) are in the table
`test_sets` and need no search.

The radius follows the larger of the two galaxies: surveys centre a large galaxy differently, and break it into pieces
that lie anywhere on it. It is two Petrosian or Kron radii, which hold nearly all the light (more than half of the
galaxies that SDSS and DES share are larger than 5 arcsec by either radius), and the recipe's radius at least.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.id_ranges import LARGE_TABLES, restricted_to
from catbuilder.catalogue.latest_round_and_run import last_recording
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.sky import nearest_within
from catbuilder.core.stamps import StampReader
from catbuilder.sets.compared_objects import ComparedObjects
from catbuilder.sets.same_picture import same_picture

EXCLUSIONS = pa.schema(
    [
        ("survey", pa.string()),
        ("object_id", pa.int64()),
        ("rule", pa.string()),
        ("test_set", pa.string()),
        ("test_survey", pa.string()),
        ("test_object_id", pa.int64()),
        ("separation_arcsec", pa.float64()),
        ("radius_arcsec", pa.float64()),
        ("similarity", pa.float32()),
    ]
)

_BOTH_NAMES = ("survey", "object_id", "test_set", "test_survey", "test_object_id")


@dataclass(frozen=True)
class FirewallReport:
    """Objects that the firewall has excluded so far, and the objects that it cannot check."""

    excluded: dict[str, int]  # number of objects, by rule
    unguarded_tests: int  # test objects with neither position nor image, with which nothing can be compared
    by_picture_alone: int  # labelled or pool objects without a position: in another survey they look different
    run: int  # the last recording that the search has seen

    def sentences(self) -> list[str]:
        """Describe the exclusions and the objects that cannot be checked; empty if there are none."""
        text = []
        if self.excluded:
            kept_out = ", ".join(f"{n} by {rule}" for rule, n in sorted(self.excluded.items()))
            text.append(f"kept out as possible test or calibration objects: {kept_out}")
        if self.unguarded_tests:
            text.append(
                f"warning: {counted(self.unguarded_tests, 'test object has', 'test objects have')} neither position "
                "nor image, so that copies cannot be found"
            )
        if self.by_picture_alone:
            text.append(
                f"warning: {counted(self.by_picture_alone, 'object has', 'objects have')} no position, and only "
                "pictures could be compared: a test galaxy's image from another survey, or of another part of its sky, "
                "is not recognised; give positions where they are known"
            )
        return text


def update_firewall(workspace: Workspace, radius_arcsec: float) -> FirewallReport:
    """Find every object that may be a test or calibration object, and record each exclusion once.

    Parameters
    ----------
    radius_arcsec : the smallest radius by position; that of a galaxy of known size may be larger
    """
    with workspace.reading() as con:
        looked_at = last_recording(con)
        con.register("found", find_exclusions(workspace, con, radius_arcsec))
        fresh = fetch_arrow(con, query("sets/new_exclusions"))
        if not fresh.num_rows:
            return _report(con, looked_at)
    with workspace.recording("firewall") as recording:
        recording.con.register("incoming", fresh)
        recording.con.execute(query("sets/record_exclusions"), {"round": recording.round, "run": recording.run})
        if recording.run == looked_at + 1:  # else another process has recorded what this search has not seen
            looked_at = recording.run
    with workspace.reading() as con:
        return _report(con, looked_at)


def _report(con: Connection, looked_at: int) -> FirewallReport:
    counts = dict(
        con.execute("SELECT rule, count(DISTINCT (survey, object_id)) FROM exclusions GROUP BY rule").fetchall()
    )
    unguarded, by_picture = (
        _count(con, name, among)
        for name, among in (
            ("sets/unguarded_test_objects", "SELECT DISTINCT survey, object_id FROM test_sets"),
            ("sets/count_without_position", "SELECT DISTINCT survey, object_id FROM objects WHERE ra IS NULL"),
        )
    )
    return FirewallReport(counts, unguarded, by_picture, looked_at)


def _count(con: Connection, name: str, among: str) -> int:
    """Run a query that counts objects, on those alone that it can count."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE looked_at AS {among}")
    with restricted_to(con, "looked_at", gathered=LARGE_TABLES):
        return fetch_number(con, query(name))


def find_exclusions(workspace: Workspace, con: Connection, radius_arcsec: float) -> pa.Table:
    """Find every pair of an object and the test or calibration object it may be, as a table of `EXCLUSIONS`.

    First all other objects, calibration objects too, are compared with the test objects. Then the objects that may
    train or be promoted are compared with the calibration objects, because an error bound is invalid on galaxies that
    were trained on. The `test_set` of these pairs is 'calibration'.
    """
    counterparts = fetch_arrow(con, query("sets/test_counterparts")).select(EXCLUSIONS.names).cast(EXCLUSIONS)
    of_calibration = pc.equal(counterparts["test_set"], "calibration")
    objects = ComparedObjects(con, radius_arcsec)
    found = _possible_copies(workspace, objects, _others, objects.tests, counterparts.filter(pc.invert(of_calibration)))
    calibration = _as_members(objects.calibration, "calibration")

    def may_train(some: pa.Table) -> pa.Table:
        return _split_by_exclusion(_others(some.filter(pc.invert(some["calibrates"]))), found)[0]

    more = _possible_copies(workspace, objects, may_train, calibration, counterparts.filter(of_calibration))
    return pa.concat_tables([found, more])


def _others(objects: pa.Table) -> pa.Table:
    """Leave out the test objects."""
    return objects.filter(objects["test_set"].is_null())


def _possible_copies(
    workspace: Workspace,
    objects: ComparedObjects,
    searched: Callable[[pa.Table], pa.Table],
    tests: pa.Table,
    counterparts: pa.Table,
) -> pa.Table:
    """Find the others that may be one of the tests: by cross-match, by position or by picture.

    Parameters
    ----------
    searched : leaves out of some objects those that are not searched
    """

    def search(
        among: Iterator[pa.Table], placed: pa.Table, pictured: pa.Table, found: pa.Table
    ) -> tuple[pa.Table, pa.Table]:
        near, alike = [EXCLUSIONS.empty_table()], [EXCLUSIONS.empty_table()]
        for some in among:
            rest, _ = _split_by_exclusion(searched(some), found)
            near.append(_near_tests(objects, rest, placed))
            alike.append(_like_tests(workspace, rest, pictured))
        return pa.concat_tables(near), pa.concat_tables(alike)

    near, alike = search(objects.possible_copies_of_members(), tests, tests, EXCLUSIONS.empty_table())
    found = fresh = pa.concat_tables([counterparts, near, alike])
    # An object excluded by its picture reveals the position of its test galaxy. And a copy without a position may be
    # rendered like an excluded object and not like the test image. So both are searched until nothing new is found.
    while fresh.num_rows:
        named = searched(objects.named(fresh))
        _, excluded = _split_by_exclusion(named, fresh)
        _, placed = _split_by_exclusion(named, alike)
        if not excluded.num_rows:
            break
        near, alike = search(objects.possible_copies(placed, excluded), placed, excluded, found)
        fresh = pa.concat_tables([near, alike])
        found = pa.concat_tables([found, fresh])
    return found


def _as_members(objects: pa.Table, test_set: str) -> pa.Table:
    place = objects.column_names.index("test_set")
    return objects.set_column(place, "test_set", pa.repeat(pa.scalar(test_set), objects.num_rows))


def _near_tests(objects: ComparedObjects, others: pa.Table, tests: pa.Table) -> pa.Table:
    others, tests = _positioned(others, True), _positioned(tests, True)
    mine, theirs = objects.radii(others), objects.radii(tests)
    index, separation = nearest_within(others["ra"], others["dec"], mine, tests["ra"], tests["dec"], theirs)
    near = np.flatnonzero(index >= 0)
    larger = np.maximum(mine[near], theirs[index[near]])
    return _pairs(others, tests, near, index[near], "position", separation=separation[near], radius=larger)


def _like_tests(workspace: Workspace, others: pa.Table, tests: pa.Table) -> pa.Table:
    """Find equal pictures among the pairs in which at least one side has no position."""
    others, tests = others.filter(others["shard"].is_valid()), tests.filter(tests["shard"].is_valid())
    found = []
    for mine, theirs in (
        (_positioned(others, False), tests),
        (_positioned(others, True), _positioned(tests, False)),
    ):
        if mine.num_rows and theirs.num_rows:
            pairs = same_picture(read_stamps(workspace, mine), read_stamps(workspace, theirs), other_widths=True)
            places = (
                np.array([i for i, _, _ in pairs], np.int64),
                np.array([j for _, j, _ in pairs], np.int64),
            )
            alike = np.array([similarity for _, _, similarity in pairs], np.float32)
            found.append(_pairs(mine, theirs, *places, "content", similarity=alike))
    return pa.concat_tables([EXCLUSIONS.empty_table(), *found])


def _split_by_exclusion(others: pa.Table, found: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Split the objects into those not found and those found; the latter get the name of their test object."""
    names = {
        (survey, object_id): (test_set, test_survey, test_object_id)
        for survey, object_id, test_set, test_survey, test_object_id in zip(
            *(found[column].to_pylist() for column in _BOTH_NAMES), strict=True
        )
    }
    keys = list(zip(others["survey"].to_pylist(), others["object_id"].to_pylist(), strict=True))
    is_out = pa.array([key in names for key in keys], pa.bool_())
    rest, excluded = others.filter(pc.invert(is_out)), others.filter(is_out)
    tests = [names[key] for key in keys if key in names]
    for place, column in enumerate(("test_set", "survey", "object_id")):
        values = pa.array([test[place] for test in tests], excluded[column].type)
        excluded = excluded.set_column(excluded.column_names.index(column), column, values)
    return rest, excluded


def read_stamps(workspace: Workspace, objects: pa.Table) -> StampReader:
    """Open the stamps of a table with the columns `shard` and `row`: slices of it are uint8 (n, size, size, 3)."""
    return StampReader(workspace.path, objects["shard"], objects["row"])


def _positioned(objects: pa.Table, known: bool) -> pa.Table:
    has_position = objects["ra"].is_valid()
    return objects.filter(has_position if known else objects["ra"].is_null())


def _pairs(
    others: pa.Table,
    tests: pa.Table,
    mine: np.ndarray,
    theirs: np.ndarray,
    rule: str,
    separation: np.ndarray | None = None,
    radius: np.ndarray | None = None,
    similarity: np.ndarray | None = None,
) -> pa.Table:
    others, tests = others.take(mine), tests.take(theirs)
    n = len(mine)
    columns = {
        "survey": others["survey"],
        "object_id": others["object_id"],
        "rule": pa.repeat(rule, n),
        "test_set": tests["test_set"],
        "test_survey": tests["survey"],
        "test_object_id": tests["object_id"],
        "separation_arcsec": pa.nulls(n, pa.float64()) if separation is None else pa.array(separation),
        "radius_arcsec": pa.nulls(n, pa.float64()) if radius is None else pa.array(radius),
        "similarity": pa.nulls(n, pa.float32()) if similarity is None else pa.array(similarity),
    }
    return pa.table(columns).cast(EXCLUSIONS)
