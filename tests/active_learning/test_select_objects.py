"""Selecting objects to label: by uncertainty, by features, or at random; for training or for calibration."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.new_workspace import create_workspace
from support.workspaces import add_events, add_objects, ask, cli, close_round, failed, label_event, write_csv

from catbuilder.active_learning.answers import import_labels
from catbuilder.active_learning.candidates import draw_random, make_asked_table
from catbuilder.active_learning.diversity import choose_coverage, choose_typical
from catbuilder.active_learning.select_objects import list_open_questions, select_objects
from catbuilder.catalogue import id_ranges
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError, NothingToAsk
from catbuilder.inspection.check import check

N_POOL, LABELLED = 60, (61, 62)  # the rest: 63 a star, 64 without a good stamp, 65 a test object, 66 near to it
CALIBRATION = range(101, 121)


def spiral(object_id: int) -> float:
    """Posterior of spiral: 30 is the most doubtful, then 29, 31, 28, 32 ..."""
    return 0.5 + (object_id - 30.1) / 200


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Path:
    """One closed round that promoted nothing; copy it, do not change it."""
    workspace = create_workspace(tmp_path_factory.mktemp("questions") / "ws", stamp_size=32)
    ids = range(1, 67)
    with workspace.recording("objects") as recording:
        domains = ["star" if n == 63 else "in" for n in ids]
        quality = ["blank" if n == 64 else "ok" for n in ids]
        places = {"ra": [10 + n / 100 for n in ids[:-1]] + [10.65 + 1 / 3600], "dec": [-1.0] * 66}
        add_objects(recording, "des", ids, domain=domains, quality=quality, **places)
        add_objects(recording, "des", CALIBRATION, split="calibration", ra=[20 + n / 100 for n in CALIBRATION],
                    dec=[-1.0] * 20)  # fmt: skip
        add_objects(recording, "sdss", range(1, 5), split="train", ra=[30.0 + n for n in range(4)], dec=[1.0] * 4)
        add_events(recording, *(label_event("des", n, "spiral", "human") for n in LABELLED),
                   *(label_event("des", n, ("elliptical", "spiral")[n % 2], "galaxy_zoo") for n in CALIBRATION),
                   *(label_event("sdss", n, ("elliptical", "spiral")[n % 2]) for n in range(1, 5)))  # fmt: skip
        recording.con.execute(
            "INSERT INTO test_sets VALUES ('HP', 'des', 65, 'spiral', 0.9, ?, ?, NULL)",
            [recording.round, recording.run],
        )
        recording.con.execute(
            "INSERT INTO exclusions (survey, object_id, rule, test_set, test_survey, test_object_id, "
            "separation_arcsec, similarity, round, run) "
            "SELECT 'des', 66, 'position', 'HP', 'des', 65, 1.0, NULL, ?, ?",
            [recording.round, recording.run],
        )
    finish_round(workspace)
    return workspace.path


def finish_round(workspace: Workspace) -> int:
    ids = [*range(1, 67), *CALIBRATION]
    return close_round(workspace, {("des", n): (1 - spiral(n), spiral(n)) for n in ids if n != 64})


@pytest.fixture
def workspace(scored, tmp_path) -> Workspace:
    return Workspace.open(shutil.copytree(scored, tmp_path / "ws"))


def ids_of(objects: pa.Table) -> list[int]:
    return objects["object_id"].to_pylist()


def answer(workspace: Workspace, folder: Path, ids, label: str = "spiral") -> None:
    rows = [["des", n, label] for n in ids]
    import_labels(workspace, write_csv(folder / "answers.csv", ["survey", "object_id", "label"], *rows), source="human")


# --- by uncertainty


@pytest.mark.parametrize("strategy", ["margin", "entropy"])
def test_the_most_uncertain_objects_are_selected_in_an_order_that_reveals_nothing(workspace, strategy):
    asked = select_objects(workspace, strategy, 8)
    assert asked.column_names == ["survey", "object_id", "name", "ra", "dec", "file", "label", "annotator"]
    assert set(ids_of(asked)) == set(range(27, 35))
    by_doubt = sorted(ids_of(asked), key=lambda n: abs(spiral(n) - 0.5))
    assert ids_of(asked) not in (by_doubt, by_doubt[::-1], sorted(ids_of(asked)))
    rows = ask(workspace, "SELECT DISTINCT strategy, purpose, probability, model, round FROM queue")
    assert rows == [(strategy, "training", None, 1, 2)]


def test_margin_of_three_classes_is_between_the_two_highest(tmp_path):
    workspace = create_workspace(tmp_path / "ws", ("elliptical", "merger", "spiral"), stamp_size=32)
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", (1, 2, 3))
    posteriors = {1: (0.34, 0.33, 0.33), 2: (0.5, 0.0, 0.5), 3: (0.1, 0.7, 0.2)}
    close_round(workspace, {("des", n): p for n, p in posteriors.items()})
    margins = ask(workspace, "SELECT object_id, round(margin, 3) FROM predictions ORDER BY 1")
    assert margins == [(1, pytest.approx(0.01)), (2, 0), (3, pytest.approx(0.5))]
    assert ids_of(select_objects(workspace, "margin", 1)) == [2]
    assert ids_of(select_objects(workspace, "entropy", 1)) == [1]


def test_labelled_objects_stars_and_test_galaxies_are_not_selected(workspace):
    everybody = select_objects(workspace, "margin", 1000)
    assert sorted(ids_of(everybody)) == list(range(1, N_POOL + 1))


def test_the_same_objects_come_until_they_are_answered_or_a_newer_model_has_scored(workspace, tmp_path):
    first = ids_of(select_objects(workspace, "margin", 6))
    assert ids_of(select_objects(workspace, "margin", 6)) == first
    assert ids_of(select_objects(workspace, "margin", 4)) == first[:4]
    assert ask(workspace, "SELECT count(*) FROM queue") == [(6,)]
    answer(workspace, tmp_path, first[:2])
    more = ids_of(select_objects(workspace, "margin", 6))
    assert more[:4] == first[2:] and len(more) == 6 and not set(more[4:]) & set(first)
    # another strategy of the same model asks about others
    assert not set(ids_of(select_objects(workspace, "entropy", 6))) & set(more)
    finish_round(workspace)
    assert ids_of(list_open_questions(workspace)) == []
    assert set(ids_of(select_objects(workspace, "margin", 4))) == set(sorted(more, key=lambda n: abs(n - 30.1))[:4])


def test_many_ineligible_objects_do_not_hide_the_eligible_ones(workspace):
    """Looked at are the most doubtful; where these are all labelled, more are looked at."""
    with workspace.recording("labels") as recording:
        add_events(recording, *(label_event("des", n, "spiral", "galaxy_zoo") for n in range(15, 46)))
    assert set(ids_of(select_objects(workspace, "margin", 2))) == {14, 46}


def test_a_large_survey_is_searched_range_by_range(workspace, monkeypatch):
    monkeypatch.setattr(id_ranges, "RANGE_OBJECTS", 5)
    monkeypatch.setattr("catbuilder.active_learning.candidates._FEW", 3)
    assert set(ids_of(select_objects(workspace, "margin", 3))) == {29, 30, 31}
    drawn = select_objects(workspace, "random", 20)
    assert len(set(ids_of(drawn))) == 20
    ((probability,),) = ask(workspace, "SELECT DISTINCT probability FROM queue WHERE strategy = 'random'")
    assert probability == pytest.approx(20 / 60, rel=0.4)  # by a half of all objects


def test_a_draw_from_a_share_of_a_large_survey_is_as_likely_for_every_object(workspace, monkeypatch):
    monkeypatch.setattr(id_ranges, "RANGE_OBJECTS", 12)
    drawn, estimates = Counter(), []
    with workspace.reading() as con:
        make_asked_table(con, None, at_random=True)
        parts = id_ranges.count_ranges(con)
        assert parts >= 5
        for key in range(65):
            found, probability = draw_random(con, 6, str(key))
            if key < 8:
                again, _ = draw_random(con, 6, str(key))
                assert found.equals(again)
            drawn.update(found["object_id"].to_pylist())
            estimates.append(1 / probability)
    assert set(drawn) == set(range(1, N_POOL + 1))  # 6.5 times each on average
    assert max(drawn.values()) < 18
    assert np.mean(estimates) == pytest.approx(N_POOL / 6, rel=0.1)


def test_mutual_information_needs_an_ensemble(workspace):
    done = cli("-w", workspace.path, "select", "--strategy", "mutual_information")
    failed(done, "ensemble", "members=3", "--strategy margin")
    with workspace.recording("as an ensemble would leave it") as recording:
        recording.con.execute("INSERT INTO members (model, member, round) VALUES (1, 0, 1), (1, 1, 1)")
        recording.con.execute("UPDATE posteriors SET mutual_information = object_id / 1000")
    assert set(ids_of(select_objects(workspace, "mutual_information", 3))) == {58, 59, 60}


def test_without_a_scored_round_only_random_selection_works(tmp_path):
    workspace = create_workspace(tmp_path / "ws", stamp_size=32)
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 9), ra=[float(n) for n in range(8)], dec=[0.0] * 8)
    for strategy in ("margin", "typical"):
        with pytest.raises(NothingToAsk, match="no round has scored it yet; run one"):
            select_objects(workspace, strategy)
    assert len(select_objects(workspace, "random", 5)) == 5


def test_another_strategy_purpose_or_survey_is_refused(workspace):
    failed(cli("-w", workspace.path, "select", "--strategy", "best"), "no strategy 'best'", "margin", "or random")
    failed(cli("-w", workspace.path, "select", "--strategy", "random", "--for", "fun"), "training or calibration")
    failed(cli("-w", workspace.path, "select", "--strategy", "random", "--survey", "lsst"), "unknown survey 'lsst'")
    with pytest.raises(InputError, match="cannot calibrate, since they are not a random sample"):
        select_objects(workspace, "margin", purpose="calibration")
    assert ask(workspace, "SELECT count(*) FROM queue") == [(0,)]


# --- by features


def keep_features(workspace: Workspace, features: dict[int, tuple[float, float]]) -> None:
    table = pa.table(
        {
            "survey": ["des"] * len(features),
            "object_id": pa.array(list(features), pa.int64()),
            "features": pa.array(list(features.values()), pa.list_(pa.float32(), 2)),
        }
    )
    pq.write_table(table, workspace.round_folder(1) / "scores" / "features-00000.parquet")


def around(degrees: float) -> tuple[float, float]:
    return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))


def test_coverage_selects_the_objects_farthest_from_all_labels(workspace):
    # 61 is labelled and stands at 0 degrees; 63 is a star
    keep_features(workspace, {61: around(0), 63: around(180)} | {n: around(3 * n) for n in range(1, 41)})
    assert set(ids_of(select_objects(workspace, "coverage", 2))) == {40, 20}
    ((model, probability),) = ask(workspace, "SELECT DISTINCT model, probability FROM queue")
    assert model == 1 and probability is None


def test_typical_selects_the_densest_objects_of_clusters_without_a_label(workspace):
    rng = np.random.default_rng(0)
    clumps = {n: around(90 * (n % 3) + rng.normal(0, 4)) for n in range(1, 61) if n % 3 or n > 54}
    keep_features(workspace, clumps | {61: around(181.0), 62: around(179.0)})
    asked = ids_of(select_objects(workspace, "typical", 2))
    assert {n % 3 for n in asked} <= {1, 2}
    assert ids_of(select_objects(workspace, "typical", 2)) == asked


def test_where_no_features_were_kept_the_refusal_says_so(workspace):
    done = cli("-w", workspace.path, "select", "--strategy", "coverage")
    failed(done, "kept the features of no pool object", "pool_features")


def test_farthest_first_halves_the_uncovered_distance():
    line = np.column_stack([np.ones(101), np.linspace(0, 1, 101)])
    labelled = np.zeros(101, bool)
    labelled[0] = True
    chosen = choose_coverage(line, labelled, 3)
    assert chosen[0] == 100 and 0.3 < line[chosen[1], 1] < 0.6
    assert len(set(chosen)) == 3 and len(choose_coverage(line, labelled, 1000)) == 100
    assert 40 <= choose_coverage(line, np.zeros(101, bool), 1)[0] <= 60


def test_typical_objects_stand_in_the_middle_of_clusters_that_have_no_label():
    rng = np.random.default_rng(1)
    middles = np.eye(4)
    features = np.concatenate([middle + rng.normal(0, 0.05, (40, 4)) for middle in middles])
    labelled = np.zeros(160, bool)
    labelled[3] = True
    chosen = choose_typical(features, labelled, 3)
    assert sorted(chosen // 40) == [1, 2, 3]
    for place in chosen:
        near = np.linalg.norm(features - features[place], axis=1)
        assert np.median(near[40 * (place // 40) : 40 * (place // 40) + 40]) < 0.13
    assert len(set(choose_typical(features, labelled, 1000))) == 159


# --- random draws and calibration


def test_a_draw_states_the_chance_of_each_object_and_every_object_has_it(workspace):
    counts = np.zeros(61)
    with workspace.reading() as con:
        make_asked_table(con, None, at_random=True)
        for draw in range(100):
            found, chance = draw_random(con, 15, f"draw {draw}")
            counts[ids_of(found)] += 1
            assert chance == 0.25
    # chi-square with 59 degrees of freedom, shrunk by 1 - 0.25
    assert abs(((counts[1:] - 25) ** 2).sum() / (25 * 0.75) - 59) < 5 * np.sqrt(2 * 59)
    asked = select_objects(workspace, "random", 15)
    assert ask(workspace, "SELECT DISTINCT strategy, purpose, probability, model FROM queue") == [
        ("random", "training", 0.25, None)
    ]
    assert ids_of(select_objects(workspace, "random", 15)) == ids_of(asked)


def test_objects_drawn_for_calibration_leave_the_pool_and_are_never_trained_on(workspace, tmp_path):
    drawn = ids_of(select_objects(workspace, "random", 10, purpose="calibration"))
    assert len(ids_of(select_objects(workspace, "margin", 1000))) == N_POOL - 10
    answer(workspace, tmp_path, drawn)
    calibrate = "SELECT object_id FROM calibration_at(9) WHERE object_id < 100 AND truth = 'spiral' ORDER BY 1"
    assert [n for (n,) in ask(workspace, calibrate)] == sorted(drawn)
    trains = "SELECT object_id FROM catalog WHERE label IS NOT NULL AND split IN ('train', 'pool') AND object_id < 100"
    assert not {n for (n,) in ask(workspace, f"{trains} AND survey = 'des'")} & set(drawn)
    # as of the round before nothing has changed
    assert ask(workspace, "SELECT count(*) FROM calibration_at(1) WHERE object_id < 100") == [(0,)]


def test_a_label_that_was_not_drawn_at_random_never_calibrates(workspace, tmp_path):
    """Not even where somebody puts the object among the calibration objects afterwards."""
    chosen = ids_of(select_objects(workspace, "margin", 4))
    drawn = ids_of(select_objects(workspace, "random", 3))  # to train
    answer(workspace, tmp_path, {*chosen, *drawn})
    with workspace.recording("put among them by hand") as recording:
        recording.con.execute(
            "UPDATE splits SET split = 'calibration' WHERE survey = 'des' AND list_contains(?, object_id)",
            [[*chosen, *drawn, 61]],
        )
    # 61 was brought in with its label, and nobody was asked: what a table states is believed
    found = {n for (n,) in ask(workspace, "SELECT object_id FROM calibration_at(9)")}
    assert found == {61, *CALIBRATION}
    assert [finding.faults for finding in check(workspace) if finding.check == "calibration_drawn"] == [()]
    with workspace.recording("counted in spite of it") as recording:
        recording.con.execute("INSERT INTO calibration VALUES (2, 'des', ?, 'fit', 'spiral', 1, true, 1)", [chosen[0]])
    (finding,) = [finding for finding in check(workspace) if finding.check == "calibration_drawn"]
    assert "selected by margin" in finding.faults[0] and str(chosen[0]) in finding.faults[0]


def test_a_draw_ignores_earlier_selections_by_uncertainty(workspace, tmp_path):
    """Else it would be a sample of the easy objects."""
    doubted = set(ids_of(select_objects(workspace, "margin", 30)))
    drawn = ids_of(select_objects(workspace, "random", 20, purpose="calibration"))
    assert ask(workspace, "SELECT DISTINCT probability FROM queue WHERE strategy = 'random'") == [(20 / 60,)]
    both = doubted & set(drawn)
    assert both
    answer(workspace, tmp_path, both)
    assert {n for (n,) in ask(workspace, "SELECT object_id FROM calibration_at(9) WHERE truth = 'spiral'")} >= both


def test_an_object_of_a_draw_that_a_person_skips_counts_as_an_error(workspace, tmp_path):
    drawn = ids_of(select_objects(workspace, "random", 6, purpose="calibration"))
    answer(workspace, tmp_path, [drawn[0], drawn[2]])
    truth = dict(ask(workspace, "SELECT object_id, truth FROM calibration_at(9) WHERE object_id < 100"))
    assert truth == {drawn[0]: "spiral", drawn[1]: "tie", drawn[2]: "spiral", **dict.fromkeys(drawn[3:])}
    assert ids_of(list_open_questions(workspace)) == [drawn[1], *drawn[3:]]
    answer(workspace, tmp_path, [drawn[1]])
    truth = dict(ask(workspace, "SELECT object_id, truth FROM calibration_at(9) WHERE object_id < 100"))
    assert truth[drawn[1]] == "spiral"


def test_an_unsure_answer_closes_the_question_and_counts_as_an_error(workspace):
    drawn = ids_of(select_objects(workspace, "random", 6, purpose="calibration"))
    with workspace.recording("answers") as recording:
        unsure = label_event("des", drawn[5], "", "human", annotator="ann") | {"kind": "unsure", "label": None}
        add_events(recording, unsure)
    assert ids_of(list_open_questions(workspace)) == drawn[:5]
    truth = dict(ask(workspace, "SELECT object_id, truth FROM calibration_at(9) WHERE object_id < 100"))
    assert truth == {**dict.fromkeys(drawn[:5]), drawn[5]: "tie"}


def test_draws_stay_open_when_a_newer_model_has_scored(workspace):
    drawn = ids_of(select_objects(workspace, "random", 5))
    finish_round(workspace)
    assert ids_of(select_objects(workspace, "random", 5)) == drawn


def test_objects_of_one_survey_can_be_selected(workspace):
    with workspace.recording("another survey's pool") as recording:
        add_objects(recording, "sdss", range(501, 511), ra=[60.0 + n for n in range(10)], dec=[3.0] * 10)
    asked = select_objects(workspace, "random", 30, survey="sdss")
    assert set(asked["survey"].to_pylist()) == {"sdss"} and len(asked) == 10
    assert list_open_questions(workspace, survey="des").num_rows == 0


# --- the command


def test_the_command_writes_the_selection_and_names_the_next_step(workspace, tmp_path):
    file = tmp_path / "ask.csv"
    done = cli("-w", workspace.path, "select", "--strategy", "margin", "--n", 5, "--out", file)
    assert done.code == 0 and "5 objects written" in done.out and f"labels import {file} --source human" in done.out
    rows = json.loads(cli("-w", workspace.path, "select", "--strategy", "margin", "--n", 5, "--format", "json").out)
    assert len(rows) == 5 and all(isinstance(row["object_id"], str) for row in rows)
    done = cli("-w", workspace.path, "select", "--strategy", "random", "--for", "calibration", "--n", 60)
    assert "60 objects" in done.out or "fill in label" in done.out
    done = cli("-w", workspace.path, "select", "--strategy", "random")
    assert done.code == 0 and "Nothing to ask: the pool has no more objects" in done.err


def test_the_firewall_checks_new_objects_before_a_selection(workspace):
    with workspace.recording("a neighbour of the test object") as recording:
        add_objects(recording, "des", [700], ra=[10.65], dec=[-1.0 + 2 / 3600])
    assert 700 not in ids_of(select_objects(workspace, "random", 1000))
    assert ask(workspace, "SELECT rule FROM exclusions WHERE object_id = 700") == [("position",)]
