"""Queries restricted to ranges of object ids together give what one query over all objects gives."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.new_workspace import create_workspace
from support.workspaces import RECIPE, SIZE, add_objects, ask, close_round, failed, process, surveyed

from catbuilder.catalogue import id_ranges
from catbuilder.catalogue.database import connect
from catbuilder.catalogue.status import status
from catbuilder.catalogue.workspace import Workspace, replace_older
from catbuilder.core.errors import ConfigError, QueryError, RoundError, WorkspaceError
from catbuilder.core.machine import require_space
from catbuilder.decisions.promotion_candidates import find_promotable
from catbuilder.inspection.check import check
from catbuilder.inspection.counts import count_objects

AT = "SELECT * FROM catalog_at({}) ORDER BY survey, object_id"


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two closed rounds; read only."""
    return surveyed(tmp_path_factory.mktemp("id_ranges") / "ws")


@pytest.fixture
def small_ranges(monkeypatch):
    """A catalogue of more than four objects counts as large, and ranges hold one."""
    monkeypatch.setattr(id_ranges, "RANGE_OBJECTS", 1)


@pytest.mark.parametrize("objects", [1, 2, 5, 100])
def test_ranges_together_show_every_object_once_as_of_any_round(survey, objects):
    with survey.reading() as con:
        seen = {at: [] for at in (1, 2, 2**31 - 1)}
        for ids in id_ranges.id_ranges(con, objects):
            with id_ranges.restricted_to(con, ids):
                for at, of_round in seen.items():
                    of_round += con.execute(AT.format(at)).fetchall()
        for at, of_round in seen.items():
            assert sorted(of_round, key=lambda row: row[:2]) == con.execute(AT.format(at)).fetchall(), f"round {at}"


def test_a_restriction_to_chosen_objects_holds_in_the_view_too_and_is_gone_afterwards(survey):
    with survey.reading() as con:
        con.execute("CREATE TEMP TABLE chosen AS SELECT 'des' AS survey, 5::BIGINT AS object_id UNION SELECT 'sdss', 5")
        with pytest.raises(RuntimeError), id_ranges.restricted_to(con, "chosen"):
            assert con.execute("SELECT survey, object_id FROM catalog ORDER BY ALL").fetchall() == [
                ("des", 5), ("sdss", 5)
            ]  # fmt: skip
            assert con.execute("SELECT count(*) FROM predictions").fetchall() == [(2,)]
            raise RuntimeError
        assert con.execute("SELECT count(*) FROM catalog").fetchall() == [(13,)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.sets(st.integers(0, 2**63 - 1), min_size=1, max_size=40), objects=st.integers(1, 10))
def test_no_id_falls_between_two_ranges(tmp_path_factory, ids, objects):
    workspace = create_workspace(tmp_path_factory.mktemp("ids") / "ws", stamp_size=SIZE)
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", sorted(ids))
        add_objects(recording, "sdss", sorted(ids)[:3])
        ranges = id_ranges.id_ranges(recording.con, objects)
    for name in ("des", "sdss"):
        of_survey = [one for one in ranges if one.survey == name]
        assert all(sum(one.first <= n <= one.last for one in of_survey) == 1 for n in ids)


# --- counts


def counted(table: pa.Table) -> list[tuple]:
    return [tuple(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize("at", [1, 2, None])
def test_counts_are_those_of_one_query_over_all(survey, small_ranges, at):
    by = ["survey", "source", "label", "predicted_label"]
    text = f"SELECT {', '.join(by)}, count(*) FROM catalog_at(?) GROUP BY ALL ORDER BY ALL NULLS LAST"
    assert counted(count_objects(survey, by, at=at)) == ask(survey, text, 2**31 - 1 if at is None else at)


def test_a_condition_chooses_what_is_counted(survey, small_ranges):
    assert counted(count_objects(survey, ["survey"], where="label = 'spiral' OR test_set IS NOT NULL")) == [("des", 5)]


@pytest.mark.parametrize(
    ("by", "where", "said"),
    [
        (["colour"], None, "has no column colour; its columns are survey"),
        ([], None, "can only be counted by one or more columns"),
        (["survey"], "mag_q < 3", "mag_q"),
        (["survey"], "true) UNION SELECT 1, 2; --", "is not one condition"),
        (["survey"], "name IN (SELECT * FROM read_text('/etc/passwd'))", "is not one condition"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_one_sentence(survey, by, where, said):
    with pytest.raises(QueryError) as refused:
        count_objects(survey, by, where=where)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(RoundError, match="there is no round 9"):
        count_objects(survey, ["survey"], at=9)


# --- the newest model's scores, and those of older ones that stay the latest


def scored_at(workspace: Workspace, at: int) -> dict[int, int | None]:
    return dict(ask(workspace, "SELECT object_id, model FROM catalog_at(?) WHERE survey = 'des' ORDER BY 1", at))


@pytest.fixture
def pool(tmp_path):
    workspace = create_workspace(tmp_path / "pool", stamp_size=SIZE)
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 7))
    return workspace


def test_an_image_taken_out_of_use_leaves_the_last_score_that_the_object_had(pool):
    close_round(pool, {("des", n): (0.9, 0.1) for n in range(1, 7)})
    with pool.recording("misplaced") as recording:
        recording.con.execute("INSERT INTO stamps (survey, object_id, quality, round, run) VALUES ('des', 3, "
                              "'misplaced', ?, ?)", [recording.round, recording.run])  # fmt: skip
        replace_older(recording, "stamps")
    close_round(pool, {("des", n): (0.9, 0.1) for n in range(1, 7) if n != 3})
    assert scored_at(pool, 2) == {1: 2, 2: 2, 3: 1, 4: 2, 5: 2, 6: 2}
    assert scored_at(pool, 1) == dict.fromkeys(range(1, 7), 1)


def test_what_an_older_model_scores_later_is_seen_from_then_on(pool):
    close_round(pool, {("des", n): (0.9, 0.1) for n in range(1, 5)})
    close_round(pool, {("des", n): (0.8, 0.2) for n in range(1, 5)})
    with pool.recording("score --round 1") as recording:
        for table, columns in (("posteriors", "'des' AS survey, 5 AS object_id, 0.7 AS p_elliptical, 0.3 AS p_spiral"),
                               ("scorings", "1 AS scored")):  # fmt: skip
            recording.con.execute(f"INSERT INTO {table} BY NAME SELECT {columns}, 1 AS model, 3 AS round, ? AS run",
                                  [recording.run])  # fmt: skip
    assert scored_at(pool, 2) == {1: 2, 2: 2, 3: 2, 4: 2, 5: None, 6: None}
    assert scored_at(pool, 3) == {1: 2, 2: 2, 3: 2, 4: 2, 5: 1, 6: None}


# --- promotion looks at the surest alone, and promotes what a look at all would


def surest_three(con, table: str) -> list[tuple]:
    return con.execute(
        f"SELECT predicted_label, object_id FROM {table} QUALIFY row_number() OVER (PARTITION BY "
        "predicted_label ORDER BY predicted_confidence DESC, survey, object_id) <= 3 ORDER BY ALL"
    ).fetchall()


@pytest.mark.parametrize("forbidden", [(), tuple(range(1, 31)), tuple(range(1, 60))])
def test_the_surest_that_may_be_promoted_are_found_however_many_may_not(tmp_path, monkeypatch, forbidden):
    monkeypatch.setattr(id_ranges, "RANGE_OBJECTS", 7)
    workspace = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 61))
        if forbidden:  # the surest
            recording.con.execute("INSERT INTO exclusions (survey, object_id, rule, round, run) "
                                  "SELECT 'des', unnest($ids), 'position', 1, 1", {"ids": list(forbidden)})  # fmt: skip
    sure = {n: 1 - 0.004 * n for n in range(1, 61)}
    close_round(workspace, {("des", n): (p, 1 - p) if n % 2 else (1 - p, p) for n, p in sure.items()})
    for few in (0, 3, 20_000_000):
        monkeypatch.setattr("catbuilder.decisions.promotion_candidates._MAX_TOGETHER", few)
        with workspace.reading() as con:
            find_promotable(con, 1, 0.5, 3)
            best = surest_three(con, "promotable_at(1)")
            assert surest_three(con, "promotable") == best, f"with {few:,} together"
            assert len(best) == min(6, 60 - len(forbidden))


def test_a_round_of_a_large_catalogue_promotes_and_retracts_like_one_of_a_small_one(tmp_path, monkeypatch):
    def two_rounds(folder):
        workspace = surveyed(folder)
        scores = {("des", n): (0.3, 0.7) for n in range(1, 11)}
        close_round(workspace, scores, recipe=RECIPE, by_policy=True)
        return ask(workspace, "SELECT * EXCLUDE (run, recorded_at) FROM labels ORDER BY event")

    small = two_rounds(tmp_path / "small")
    monkeypatch.setattr(id_ranges, "RANGE_OBJECTS", 1)
    monkeypatch.setattr("catbuilder.decisions.promotion_candidates._MAX_TOGETHER", 0)
    assert two_rounds(tmp_path / "large") == small and any(event[3] == "retraction" for event in small)


# --- status and check


def test_the_status_of_a_large_catalogue_is_the_last_count_and_says_how_old_it_is(tmp_path, monkeypatch):
    workspace = surveyed(tmp_path / "ws")
    live = status(workspace)
    monkeypatch.setattr(id_ranges, "RANGE_OBJECTS", 1)
    first = status(workspace)  # nobody has counted yet, and nobody is made to wait for it
    assert first.recordings_since is None
    assert [tuple(row.values()) for row in first.objects.to_pylist()] == ask(
        workspace, "SELECT survey, count(*) FROM objects GROUP BY ALL ORDER BY ALL"
    )
    counted_now = status(workspace, count=True)
    assert counted_now.objects.to_pylist() == live.objects.to_pylist() and counted_now.recordings_since == 0
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", [100, 101])
    old = status(workspace)
    assert old.objects.to_pylist() == live.objects.to_pylist() and old.recordings_since == 1
    new = status(workspace, count=True)
    assert sum(row["objects"] for row in new.objects.to_pylist()) == 15
    assert status(workspace).objects.to_pylist() == new.objects.to_pylist()
    (workspace.path / "counts.json").write_text("{cut")
    assert status(workspace).recordings_since is None


@pytest.mark.parametrize(
    ("tamperings", "found"),
    [
        (
            ["INSERT INTO objects (survey, object_id, round, run) VALUES ('des', 11, 1, 99)",
             "UPDATE posteriors SET p_spiral = 0.5 WHERE object_id = 8",
             "DELETE FROM posteriors WHERE object_id = 7",
             "INSERT INTO stamps (survey, object_id, round, run) VALUES ('des', 0, 1, 1)"],
            {"objects_unique": 1, "predictions_unique": 2, "labels_explained": 1, "rows_have_objects": 1},
        ),
        (["INSERT INTO posteriors BY NAME SELECT * FROM posteriors WHERE object_id = 1"], {"predictions_unique": 2}),
        (["DELETE FROM posteriors WHERE object_id = 8"], {"counts_add_up": 2}),
        (["INSERT INTO stamps (survey, object_id, round, run) VALUES ('gaia', 7, 1, 1)"], {"counts_add_up": 1}),
    ],
)  # fmt: skip
def test_check_finds_the_same_faults_range_by_range(tmp_path, monkeypatch, small_ranges, tamperings, found):
    workspace = surveyed(tmp_path / "ws")
    with connect(workspace.catalog_file, read_only=False) as con:
        for tampering in tamperings:
            con.execute(tampering)
    faults = {finding.check: finding.count for finding in check(workspace)}
    assert found.items() <= faults.items()
    monkeypatch.setattr(id_ranges, "RANGE_OBJECTS", 1_000_000)
    assert found.items() <= {finding.check: finding.count for finding in check(workspace)}.items()


# --- memory and disk


def test_a_memory_limit_that_is_no_size_is_refused_and_one_that_is_holds(survey, monkeypatch):
    monkeypatch.setenv("CATBUILDER_MEMORY_LIMIT", "much")
    with pytest.raises(ConfigError, match="'much' is not a size; give --memory-limit as 8GB"), survey.reading():
        pass
    monkeypatch.setenv("CATBUILDER_MEMORY_LIMIT", "300MB")
    with survey.reading() as con:
        assert con.execute("SELECT current_setting('memory_limit')").fetchall() == [("286.1 MiB",)]


def test_the_memory_limit_before_a_verb_reaches_the_catalogue(survey):
    failed(process("--memory-limit", "lots", "-w", survey.path, "status"), "'lots' is not a size")
    assert process("--memory-limit", "1GB", "-w", survey.path, "count", "--by", "survey", "--format", "csv").out == (
        '"survey","objects"\n"des",11\n"sdss",2\n'
    )


def test_what_does_not_fit_on_the_disk_is_refused_before_it_is_written(tmp_path):
    require_space(tmp_path, 1, "one byte")
    with pytest.raises(WorkspaceError, match=r"the scores need about 1000000\.0 GB in .*; free some space"):
        require_space(tmp_path, 10**15, "the scores")
