"""The firewall: no test or calibration galaxy, nor anything that may be one, is ever trained on or promoted.

Three ways to be a test galaxy under another name: to be matched with one in another survey, to stand within
a few arcseconds of one, or, where a position is missing on either side, to show the same picture. Membership
itself (the same survey and id) is in the table `test_sets` and needs no finding.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number
from catbuilder.catalogue.last_numbers import last_recording
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query
from catbuilder.core.sky import nearest
from catbuilder.core.stamps import StampReader
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
        ("similarity", pa.float32()),
    ]
)


_BOTH_NAMES = ("survey", "object_id", "test_set", "test_survey", "test_object_id")


@dataclass(frozen=True)
class FirewallReport:
    """What the firewall has found so far, and what it cannot see."""

    excluded: dict[str, int]  # objects by rule
    unguarded_tests: int  # test objects with neither position nor image: nothing can be compared with them
    by_picture_alone: int  # labelled or pool objects without a position: another survey's picture does not betray them
    run: int  # the recording up to which the catalogue was looked at


def update_firewall(workspace: Workspace, radius_arcsec: float) -> FirewallReport:
    """Find every object that may be a test or calibration object and record it, once."""
    with workspace.reading() as con:
        looked_at = last_recording(con)
        con.register("found", find_exclusions(workspace, con, radius_arcsec))
        fresh = fetch_arrow(con, query("sets/fresh_exclusions"))
    if fresh.num_rows:
        with workspace.recording("firewall") as recording:
            recording.con.register("incoming", fresh)
            recording.con.execute(query("sets/record_exclusions"), {"round": recording.round, "run": recording.run})
            if recording.run == looked_at + 1:  # else somebody recorded something that nobody has looked at
                looked_at = recording.run
    with workspace.reading() as con:
        counts = dict(
            con.execute("SELECT rule, count(DISTINCT (survey, object_id)) FROM exclusions GROUP BY rule").fetchall()
        )
        unguarded = fetch_number(con, query("sets/unguarded_test_objects"))
        by_picture = fetch_number(con, query("sets/compared_by_picture_alone"))
    return FirewallReport(counts, unguarded, by_picture, looked_at)


def find_exclusions(workspace: Workspace, con: Connection, radius_arcsec: float) -> pa.Table:
    """Every pair of an object and the test or calibration object it may be, as a table of `EXCLUSIONS`.

    Test objects are guarded from everything else, calibration objects too; then calibration objects from what may
    train or be promoted: an error bound means nothing on galaxies that were trained on. Their `test_set` is
    'calibration'.
    """
    counterparts = fetch_arrow(con, query("sets/test_counterparts")).select(EXCLUSIONS.names).cast(EXCLUSIONS)
    of_calibration = pc.equal(counterparts["test_set"], "calibration")
    objects = fetch_arrow(con, query("sets/firewall_objects"))
    is_test, calibrates = (np.asarray(mask) for mask in (objects["test_set"].is_valid(), objects["calibrates"]))
    others, tests = objects.filter(pa.array(~is_test)), objects.filter(pa.array(is_test))
    found = _guard(workspace, others, tests, counterparts.filter(pc.invert(of_calibration)), radius_arcsec)
    calibration = _named(objects.filter(pa.array(calibrates & ~is_test)), "calibration")
    rest, _ = _split_by_exclusion(objects.filter(pa.array(~is_test & ~calibrates)), found)
    more = _guard(workspace, rest, calibration, counterparts.filter(of_calibration), radius_arcsec)
    return pa.concat_tables([found, more])


def _guard(
    workspace: Workspace, others: pa.Table, tests: pa.Table, counterparts: pa.Table, radius_arcsec: float
) -> pa.Table:
    """Which of the others may be one of the tests: their counterparts, and by position or by picture."""
    alike = _like_tests(workspace, others, tests)
    found = pa.concat_tables([counterparts, _near_tests(others, tests, radius_arcsec), alike])
    # What is out by its picture tells where its test galaxy stands, and a copy without a position of whatever is
    # out may be rendered as that is, and not as the test image. So both are looked for until nothing new is found.
    rest, excluded = _split_by_exclusion(others, found)
    _, placed = _split_by_exclusion(others, alike)
    while excluded.num_rows:
        alike = _like_tests(workspace, rest, excluded)
        more = pa.concat_tables([_near_tests(rest, placed, radius_arcsec), alike])
        found = pa.concat_tables([found, more])
        _, placed = _split_by_exclusion(rest, alike)
        rest, excluded = _split_by_exclusion(rest, more)
    return found


def _named(objects: pa.Table, test_set: str) -> pa.Table:
    """The objects as members of a set."""
    place = objects.column_names.index("test_set")
    return objects.set_column(place, "test_set", pa.repeat(pa.scalar(test_set), objects.num_rows))


def _near_tests(others: pa.Table, tests: pa.Table, radius_arcsec: float) -> pa.Table:
    others, tests = _positioned(others, True), _positioned(tests, True)
    index, separation = nearest(others["ra"], others["dec"], tests["ra"], tests["dec"])
    near = np.flatnonzero(separation <= radius_arcsec)
    return _pairs(others, tests, near, index[near], "position", separation=separation[near])


def _like_tests(workspace: Workspace, others: pa.Table, tests: pa.Table) -> pa.Table:
    """Same pictures among pairs of which one side at least has no position."""
    others, tests = others.filter(others["shard"].is_valid()), tests.filter(tests["shard"].is_valid())
    found = []
    for mine, theirs in (
        (_positioned(others, False), tests),
        (_positioned(others, True), _positioned(tests, False)),
    ):
        if mine.num_rows and theirs.num_rows:
            pairs = same_picture(read_all(workspace, mine), read_all(workspace, theirs))
            places = (
                np.array([i for i, _, _ in pairs], np.int64),
                np.array([j for _, j, _ in pairs], np.int64),
            )
            alike = np.array([similarity for _, _, similarity in pairs], np.float32)
            found.append(_pairs(mine, theirs, *places, "content", similarity=alike))
    return pa.concat_tables([EXCLUSIONS.empty_table(), *found])


def _split_by_exclusion(others: pa.Table, found: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The objects not found, and those found, the latter under the name of the test object that each may be."""
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


def read_all(workspace: Workspace, objects: pa.Table) -> np.ndarray:
    """Stamps of a table with the columns `shard` and `row`: uint8 (n, size, size, 3)."""
    reader = StampReader(workspace.path, objects["shard"].to_pylist(), objects["row"])
    return reader.read(np.arange(len(reader)))


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
        "similarity": pa.nulls(n, pa.float32()) if similarity is None else pa.array(similarity),
    }
    return pa.table(columns).cast(EXCLUSIONS)
