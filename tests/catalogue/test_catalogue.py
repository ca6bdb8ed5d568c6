"""The catalogue: described to the last column, append-only, and the same as of a closed round for ever."""

import csv
import re
import shutil
import subprocess
import sys
import time

import pytest
from astropy.io.votable.ucd import parse_ucd
from astropy.units import Unit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.workspaces import (
    RECIPE,
    SIZE,
    add_events,
    add_objects,
    ask,
    close_round,
    label_event,
    make_older,
    surveyed,
)

from catbuilder.catalogue.database import connect
from catbuilder.catalogue.new_workspace import create_workspace
from catbuilder.catalogue.round_records import read_plan
from catbuilder.catalogue.schema import Column, data_dictionary, migrate
from catbuilder.catalogue.vocabulary import SOURCES
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import RoundError, WorkspaceError
from catbuilder.core.resources import sql_folder
from catbuilder.core.version import __version__

UCD = re.compile(r"[a-zA-Z][a-zA-Z0-9.-]*(;[a-zA-Z][a-zA-Z0-9.-]*)*")


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two closed rounds; read only."""
    return surveyed(tmp_path_factory.mktemp("catalog") / "ws")


@pytest.fixture
def workspace(survey, tmp_path):
    """A copy of it, to be changed."""
    return Workspace.open(shutil.copytree(survey.path, tmp_path / "ws"))


# --- the data dictionary


def test_every_column_of_every_table_and_view_has_a_description_and_a_ucd(survey):
    with survey.reading() as con:
        tables = con.execute("SELECT DISTINCT table_name FROM duckdb_columns() WHERE NOT internal").fetchall()
        assert {"catalog", "objects", "labels", "predictions", "round_status"} <= {table for (table,) in tables}
        for (table,) in tables:
            for column in data_dictionary(con, table):
                where = f"{table}.{column.name}"
                assert len(column.description) > 5, where
                assert UCD.fullmatch(column.ucd), f"{where}: {column.ucd!r}"


def test_every_ucd_is_one_of_the_ivoa_vocabulary_and_every_unit_is_known_to_astropy(survey):
    with survey.reading() as con:
        tables = con.execute("SELECT DISTINCT table_name FROM duckdb_columns() WHERE NOT internal").fetchall()
        columns = {(table, column) for (table,) in tables for column in data_dictionary(con, table)}
    bad = []
    for table, column in columns:
        try:
            parse_ucd(column.ucd, check_controlled_vocabulary=True, has_colon=False)
            Unit(column.unit, format="vounit")
        except ValueError as error:
            bad.append(f"{table}.{column.name} {column.ucd} [{column.unit}]: {error}")
    assert not bad, "\n".join(sorted(bad))


def test_comments_come_back_after_views_are_made_again(survey, tmp_path):
    with survey.reading() as con:
        before = data_dictionary(con, "catalog")
    with connect(survey.catalog_file, read_only=False) as con:
        migrate(con, survey.config.classes)
        assert data_dictionary(con, "catalog") == before


def test_the_data_dictionary_gives_name_unit_ucd_and_description_in_order(survey):
    with survey.reading() as con:
        columns = data_dictionary(con, "catalog")
        assert [column.name for column in columns] == [row[0] for row in con.execute("DESCRIBE catalog").fetchall()]
        assert data_dictionary(con, "no_such_table") == []
    assert columns[3] == Column("ra", "Right ascension (ICRS)", "deg", "pos.eq.ra;meta.main")
    assert {column.name for column in columns} >= {"p_elliptical", "p_spiral"}


def test_the_description_file_describes_no_column_that_does_not_exist(survey):
    with open(sql_folder() / "columns.csv", newline="") as file:
        described = [(row["table"], row["column"]) for row in csv.DictReader(file)]
    assert len(set(described)) == len(described)
    rows = ask(survey, "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal")
    columns = {column for _, column in rows} | {"p_*"}
    for table, column in described:
        assert (column in columns) if table == "*" else ((table, column) in rows), f"{table}.{column}"


# --- migrations


def test_migrations_are_recorded_with_the_version_that_applied_them(survey):
    files = sorted((sql_folder() / "migrations").glob("*.sql"))
    rows = ask(survey, "SELECT version, name, catbuilder, applied_at IS NOT NULL FROM migrations ORDER BY version")
    assert rows == [(number, file.stem, __version__, True) for number, file in enumerate(files, start=1)]


def test_the_catalogue_of_an_older_catbuilder_is_brought_up_to_date_when_it_is_opened(tmp_path):
    workspace = create_workspace(tmp_path / "ws")
    make_older(workspace)
    before = workspace.catalog_file.read_bytes()
    with workspace.reading() as con:
        assert con.sql("SELECT object_id, domain FROM catalog").fetchall() == [(8, "no_image")]
    assert ask(workspace, "SELECT origin FROM objects") == [("images",)]
    assert ask(workspace, "SELECT max(version) FROM migrations") > [(1,)]
    assert (workspace.path / "catalog.duckdb.before-0002").read_bytes() == before, "to go back to"


def test_views_of_another_catbuilder_are_made_again_when_the_catalogue_is_opened(workspace):
    before = ask(workspace, "FROM catalog ORDER BY ALL")
    with connect(workspace.catalog_file, read_only=False) as con:
        con.execute("CREATE OR REPLACE MACRO standing_labels_at(at_round) AS TABLE SELECT at_round AS label")
        con.execute("CREATE OR REPLACE MACRO views_sha256() AS 'of an older one'")
    with workspace.reading() as con:
        found = con.sql("SELECT label FROM standing_labels_at()").fetchall()
    assert len(found) == 6, "its argument has a default now"
    assert ask(workspace, "FROM catalog ORDER BY ALL") == before
    assert not list(workspace.path.glob("*.before-*")), "no table changed, so nothing had to be copied"


def test_migrating_again_changes_nothing(workspace):
    before = ask(workspace, "FROM catalog"), ask(workspace, "FROM migrations")
    with connect(workspace.catalog_file, read_only=False) as con:
        migrate(con, workspace.config.classes)
    assert (ask(workspace, "FROM catalog"), ask(workspace, "FROM migrations")) == before


def test_no_key_and_no_index_slows_the_loading(survey):
    assert ask(survey, "SELECT count(*) FROM duckdb_indexes()") == [(0,)]
    kinds = ask(survey, "SELECT DISTINCT constraint_type FROM duckdb_constraints() WHERE constraint_type <> 'NOT NULL'")
    assert kinds == []


def test_a_catalogue_that_is_not_there_is_not_made_by_looking_for_it(tmp_path):
    with pytest.raises(WorkspaceError, match="catbuilder init"), connect(tmp_path / "none.duckdb"):
        pass
    assert not list(tmp_path.iterdir())


# --- label events


@pytest.fixture
def pool(tmp_path):
    workspace = create_workspace(tmp_path / "pool", stamp_size=SIZE)
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", [1, 2, 3])
    return workspace


def standing(workspace, object_id=1):
    rows = ask(workspace, "SELECT label, source FROM catalog WHERE object_id = ?", object_id)
    return rows[0]


def record(workspace, *events):
    with workspace.recording("labels") as recording:
        add_events(recording, *events)


def test_the_strongest_source_stands_whatever_the_order(pool):
    for source in ("galaxy_zoo", "promoted", "human", "imported"):
        record(pool, label_event("des", 1, "spiral" if source == "human" else "elliptical", source))
        if source == "promoted":
            assert standing(pool) == ("elliptical", "galaxy_zoo")
    assert standing(pool) == ("spiral", "human")


def test_the_last_word_of_the_strongest_source_stands(pool):
    record(pool, label_event("des", 1, "spiral", "human"), label_event("des", 1, "elliptical", "human"))
    assert standing(pool) == ("elliptical", "human")


def test_a_retraction_brings_back_what_stood_before(pool):
    record(
        pool,
        label_event("des", 1, "elliptical", "imported"),
        label_event("des", 1, "spiral", "human"),
        label_event("des", 1, "elliptical", "human"),
    )
    for event, left in ((3, ("spiral", "human")), (2, ("elliptical", "imported")), (1, (None, None))):
        record(pool, {"survey": "des", "object_id": 1, "kind": "retraction", "source": "human", "retracts": event})
        assert standing(pool) == left


def test_a_retracted_label_may_be_given_again(pool):
    label = label_event("des", 1, "spiral", "promoted")
    record(pool, label)
    record(pool, label | {"kind": "retraction", "retracts": 1})
    record(pool, label)
    assert standing(pool) == ("spiral", "promoted")


def test_events_are_numbered_without_a_gap_in_the_order_given_and_a_failed_recording_takes_no_number(pool):
    record(pool, label_event("des", 3, "spiral"), label_event("des", 1, "elliptical"))
    with pytest.raises(RuntimeError), pool.recording("fails") as recording:
        add_events(recording, label_event("des", 2, "spiral"))
        raise RuntimeError
    record(pool, label_event("des", 2, "spiral"))
    assert ask(pool, "SELECT event, object_id FROM labels ORDER BY event") == [(1, 3), (2, 1), (3, 2)]
    assert ask(pool, "SELECT max(run) = count(*) FROM runs") == [(True,)]


def test_a_test_objects_truth_is_never_shown_as_its_label(workspace):
    record(workspace, label_event("des", 9, "elliptical", "human"))
    assert ask(workspace, "SELECT label, source, test_set FROM catalog WHERE survey = 'des' AND object_id = 9") == [
        (None, None, "HP")
    ]


# --- as of a round


AT = "SELECT * FROM catalog_at({}) ORDER BY survey, object_id"


def test_a_closed_round_reads_the_same_after_whatever_comes_later(workspace):
    before = {number: ask(workspace, AT.format(number)) for number in (1, 2)}
    assert before[1] != before[2]
    record(workspace, label_event("des", 8, "spiral", "human"), label_event("des", 1, "spiral", "human"))
    record(workspace, label_event("des", 5, "elliptical", "promoted") | {"kind": "retraction", "retracts": 5})
    with workspace.recording("more") as recording:
        add_objects(recording, "des", [20, 21], split="train")
        recording.con.execute(
            "INSERT INTO test_sets VALUES ('FO', 'des', 8, 'spiral', 1, ?, ?, NULL)", [3, recording.run]
        )
        recording.con.execute(
            "INSERT INTO exclusions (survey, object_id, rule, test_set, test_survey, test_object_id, "
            "separation_arcsec, similarity, round, run) "
            "VALUES ('des', 7, 'position', 'FO', 'des', 8, 1.5, NULL, 3, ?)",
            [recording.run],
        )
    third = close_round(workspace, {("des", n): (0.5, 0.5) for n in range(1, 9)}, trained_on=[("des", 20, "training",
                        "spiral")])  # fmt: skip
    assert third == 3
    for number in (1, 2):
        assert ask(workspace, AT.format(number)) == before[number]
    assert ask(workspace, AT.format(3)) == ask(workspace, "FROM catalog ORDER BY survey, object_id")


def test_a_label_given_between_rounds_belongs_to_the_next(workspace):
    record(workspace, label_event("des", 8, "spiral", "human"))
    asked = "SELECT label, label_round FROM catalog_at({}) WHERE survey = 'des' AND object_id = 8"
    assert ask(workspace, asked.format(2)) == [(None, None)]
    assert ask(workspace, asked.format(3)) == [("spiral", 3)]


def test_before_the_first_round_nothing_was_known(survey):
    assert ask(survey, AT.format(0)) == []


def test_one_row_an_object_with_the_latest_score_and_its_flags(survey):
    rows = ask(survey, "SELECT survey, object_id, label, source, model, domain, in_training, test_set FROM catalog")
    assert len(rows) == len(set((row[0], row[1]) for row in rows)) == 13
    told = {(row[0], row[1]): row[2:] for row in rows}
    assert told["des", 1] == ("elliptical", "imported", 2, "in", True, None)
    assert told["des", 5] == ("elliptical", "promoted", 2, "in", False, None)
    assert told["des", 6] == (None, None, 2, "in", False, None)
    assert told["des", 11] == (None, None, None, "artefact", False, "HP")
    assert told["sdss", 5] == (None, None, None, "in", False, None)


def test_the_step_of_a_round_is_its_last_recorded_even_if_the_clock_was_set_back(workspace):
    with workspace.recording("clock") as recording:
        recording.con.execute("UPDATE steps SET recorded_at = TIMESTAMP '2001-01-01' WHERE step = 'closed'")
    assert ask(workspace, "SELECT round, step FROM round_status ORDER BY round") == [(1, "closed"), (2, "closed")]


# --- the rule, against a plain-Python model of it


@st.composite
def histories(draw):
    """Batches of events, a batch a round: labels of three objects, and retractions of labels given before."""
    batches, given_labels = [], []
    number = 0
    for _ in range(draw(st.integers(1, 4))):
        batch = []
        for _ in range(draw(st.integers(0, 5))):
            number += 1
            open_labels = [event for event in given_labels if event["retractable"]]
            if open_labels and draw(st.booleans()):
                target = draw(st.sampled_from(open_labels))
                target["retractable"] = False
                batch.append({**target["event"], "kind": "retraction", "retracts": target["number"]})
            else:
                event = label_event(
                    "des", draw(st.integers(1, 3)), draw(st.sampled_from(["elliptical", "spiral"])),
                    draw(st.sampled_from(SOURCES)),
                )  # fmt: skip
                given_labels.append({"event": event, "number": number, "retractable": True})
                batch.append(event)
        batches.append(batch)
    return batches


def model_of_the_rule(batches):
    """Standing (label, source) by object after each batch."""
    strength = {source: place for place, source in enumerate(SOURCES)}
    numbered, states = [], []
    for batch in batches:
        numbered += batch
        retracted = {event["retracts"] for event in numbered if event["kind"] == "retraction"}
        state = {}
        for object_id in (1, 2, 3):
            mine = [
                (strength[event["source"]], -number, event["label"], event["source"])
                for number, event in enumerate(numbered, start=1)
                if event["kind"] == "label" and event["object_id"] == object_id and number not in retracted
            ]
            state[object_id] = min(mine)[2:] if mine else (None, None)
        states.append(state)
    return states


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=histories())
def test_standing_labels_follow_the_rule_as_of_every_round(pool, batches):
    with connect(pool.catalog_file, read_only=False) as con:
        con.begin()
        for number, batch in enumerate(batches, start=1):
            add_events(Recording(con, 1, number), *batch)
        for number, expected in enumerate(model_of_the_rule(batches), start=1):
            rows = con.execute(f"SELECT object_id, label, source FROM catalog_at({number})").fetchall()
            # the objects are there from the first round on
            assert {object_id: (label, source) for object_id, label, source in rows} == expected
        numbers = [row[0] for row in con.execute("SELECT event FROM labels ORDER BY event").fetchall()]
        assert numbers == list(range(1, sum(map(len, batches)) + 1))
        con.rollback()


# --- one writer, many readers


WRITE = """
import sys, time
from catbuilder.catalogue.workspace import Workspace
with Workspace.open(sys.argv[1]).recording("slow") as recording:
    recording.con.execute("INSERT INTO rejections VALUES ('f', 1, '1', 'r', 1, 1)")
    print("writing", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_reader_waits_for_a_writer_and_sees_all_it_wrote(pool):
    command = [sys.executable, "-c", WRITE, str(pool.path), "0.7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "writing\n"
        started = time.monotonic()
        assert ask(pool, "SELECT count(*) FROM rejections") == [(1,)]
        assert time.monotonic() - started > 0.2
    assert writer.returncode == 0


def test_many_readers_and_writers_at_once_lose_nothing(pool):
    code = """
import sys
from catbuilder.catalogue.workspace import Workspace
workspace = Workspace.open(sys.argv[1])
for _ in range(4):
    with workspace.recording("at once") as recording:
        recording.con.execute("INSERT INTO rejections VALUES ('f', ?, '1', 'r', 1, ?)", [recording.run, recording.run])
    with workspace.reading() as con:
        assert con.execute("SELECT count(*) = count(DISTINCT run) FROM runs").fetchone()[0]
"""
    children = [subprocess.Popen([sys.executable, "-c", code, str(pool.path)]) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert ask(pool, "SELECT count(*), count(DISTINCT row) FROM rejections") == [(12, 12)]
    assert len(pool.log_file.read_text().splitlines()) == 13


def test_a_recording_that_fails_leaves_nothing_and_logs_nothing(pool):
    before, logged = ask(pool, "FROM runs"), pool.log_file.read_text()
    with pytest.raises(ValueError), pool.recording("fails") as recording:
        add_objects(recording, "des", [99])
        raise ValueError
    assert ask(pool, "FROM runs") == before and pool.log_file.read_text() == logged
    assert ask(pool, "SELECT count(*) FROM objects") == [(3,)]


def test_the_plan_of_a_round_is_read_back_as_it_was_recorded(survey):
    with survey.reading() as con:
        plan = read_plan(con, 2)
        assert (plan.round, plan.recipe, plan.seed) == (2, RECIPE, 7)
        with pytest.raises(RoundError, match="no round 3; the rounds are 1 to 2"):
            read_plan(con, 3)
