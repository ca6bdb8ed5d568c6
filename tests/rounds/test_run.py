"""Rounds: their steps, promotions and retractions, what can be done meanwhile, and rollback."""

import itertools
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, contents, rows
from support.small_survey import CLASSES, POOL, Source, bring_in, draw, finish_by_hand, write_csv, write_recipe

from catbuilder.active_learning.answers import import_labels
from catbuilder.catalogue.round_records import STEPS, RoundPlan, training_manifest_file
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe, load_recipe
from catbuilder.inspection.check import check
from catbuilder.rounds.planning import make_plan
from catbuilder.rounds.rollback import rollback
from catbuilder.rounds.run import last_round_to_run, run_rounds
from catbuilder.sets.testsets import add_test_set

STANDING = "SELECT survey, object_id, label, source, confidence FROM standing_labels_at({}) ORDER BY survey, object_id"
CATALOG_AT = "SELECT * FROM catalog_at({}) ORDER BY survey, object_id"
Rows = list[tuple[Any, ...]]


def standing(workspace: Workspace | Path, at: int = 2**31 - 1) -> Rows:
    return rows(workspace, STANDING.format(at))


def promoted(workspace: Workspace | Path) -> dict[int, str]:
    """Class of every object whose standing label was promoted."""
    return {n: label for _, n, label, source, _ in standing(workspace) if source == "promoted"}


# Rounds of a real network


def test_the_steps_are_recorded_in_order_each_in_its_own_recording(second_round: Path) -> None:
    steps = rows(second_round, "SELECT round, step, run FROM steps ORDER BY run")
    assert [(number, step) for number, step, _ in steps] == list(itertools.product((1, 2), STEPS))
    assert len({run for _, _, run in steps}) == len(steps)
    CommandLine(second_round, Path())("check")


def test_the_step_of_a_round_does_not_depend_on_the_clock(first_round: Path, copy_of: Callable[[Path], Path]) -> None:
    """A clock that was set back between two steps must not open a closed round again."""
    workspace = Workspace.open(copy_of(first_round))
    with workspace.recording("clock") as recording:
        recording.con.execute("UPDATE steps SET recorded_at = TIMESTAMP '2020-01-01' WHERE step = 'closed'")
    assert rows(workspace, "SELECT step FROM round_status") == [("closed",)]


def test_a_round_promotes_and_the_next_one_trains_on_it(second_round: Path) -> None:
    taken = rows(second_round, "SELECT survey, object_id, label FROM standing_labels_at(1) WHERE source = 'promoted'")
    assert taken and {survey for survey, _, _ in taken} == {"des"}
    manifest = pq.read_table(training_manifest_file(Workspace.open(second_round), 2)).to_pylist()
    trained_on = {(row["survey"], row["object_id"], row["class"]): row["role"] for row in manifest}
    assert all(trained_on[row] == "training" for row in taken), "promoted labels never steer, they only train"
    first = rows(second_round, "SELECT source FROM training WHERE round = 1 AND source = 'promoted'")
    assert first == []


def test_an_unfinished_round_is_finished_by_its_own_plan(
    catbuilder: CommandLine, first_round: Path, tmp_path: Path
) -> None:
    catbuilder.round(expect=-signal.SIGKILL, CATBUILDER_FAULT="train.before_commit")
    other = CommandLine(catbuilder.workspace, write_recipe(tmp_path / "other.toml", per_class=1, floor=0.9))
    said = other.round(np=2, seed=5)
    assert "round 1 was planned but not closed: continuing by its own plan" in said
    assert "--np 1 and --seed 0; your settings apply from the next round on" in said
    assert_same_contents(catbuilder.workspace, contents(first_round))


def test_queries_and_labels_work_while_a_round_trains(
    catbuilder: CommandLine, first_round: Path, tmp_path: Path
) -> None:
    """Queries are answered, labels recorded for the next round, a second round refused; the round is not disturbed."""
    chosen, label = next(iter(promoted(first_round).items()))
    other = "spiral" if label == "elliptical" else "elliptical"
    process = catbuilder.start_round()
    trainer = wait_for(lambda: training_process(catbuilder))
    trainer.suspend()

    started = time.monotonic()
    assert "276" in catbuilder("sql", "SELECT count(*) FROM predictions RIGHT JOIN stamps USING (survey, object_id)"
                                      " WHERE quality = 'ok'", "--format", "csv")  # fmt: skip
    assert "280" in catbuilder("sql", "SELECT count(*) FROM catalog_at(1)", "--format", "csv")
    assert time.monotonic() - started < 30  # two processes on a busy machine; each waits for nothing

    refusal = catbuilder.round(expect=1)
    assert re.fullmatch(rf"Error: a round is under way in \S+ \(process {process.pid} on .*\); wait .*\n", refusal)

    table = write_csv(tmp_path / "mine.csv", [{"object_id": chosen, "label": other, "annotator": "me"}])
    assert "1 label recorded" in catbuilder("labels", "import", table, "--source", "human")

    trainer.resume()
    assert process.wait(timeout=300) == 0
    assert rows(catbuilder.workspace, "SELECT round, label FROM labels WHERE annotator = 'me'") == [(2, other)]
    assert rows(catbuilder.workspace, CATALOG_AT.format(1)) == rows(first_round, CATALOG_AT.format(1))
    now = rows(catbuilder.workspace, "SELECT label, source FROM catalog WHERE object_id = ?", [chosen])
    assert now == [(other, "human")], "what a person says is stronger than what was promoted"
    catbuilder("check")


def training_process(catbuilder: CommandLine) -> psutil.Process | None:
    """The worker, once it has made a step."""
    logs = catbuilder.workspace.glob("rounds/001/attempts/train-01/train.jsonl")
    begun = any('"step"' in log.read_text() for log in logs)
    return next(iter(catbuilder.processes("catbuilder.network.train")), None) if begun else None


def test_objects_ingested_later_are_scored_without_changing_a_closed_round(
    first_round: Path, copy_of: Callable[[Path], Path], tiny_recipe: Path, tmp_path: Path
) -> None:
    catbuilder = CommandLine(copy_of(first_round), tiny_recipe)
    then = rows(catbuilder.workspace, CATALOG_AT.format(1))
    late = [(Source(POOL + 900 + i, 10.0 + i, 70.0), draw("spiral", 8000 + i)) for i in range(3)]
    bring_in(Workspace.open(catbuilder.workspace), tmp_path / "late", "des", late)
    assert catbuilder("score") == "3 objects scored by the model of round 1.\n"
    scored = rows(
        catbuilder.workspace,
        "SELECT model, round FROM predictions WHERE survey = 'des' AND object_id >= ?",
        [POOL + 900],
    )
    assert scored == [(1, 2)] * 3
    assert rows(catbuilder.workspace, CATALOG_AT.format(1)) == then
    assert "no object not yet scored by that model" in catbuilder("score", expect=1)
    catbuilder("check")


@pytest.fixture(scope="module")
def without_horovod(
    small_survey: Path, copy_of: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[CommandLine, str, str]:
    """Where Horovod cannot be imported and no score is high enough: what `--np 2` and then two rounds of one say."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "horovod").mkdir()
    (folder / "horovod" / "__init__.py").write_text("raise ImportError('No module named horovod')")
    quick = {"batch_size": 20, "scored_at_once": 20, "symmetries": 1}
    recipe = write_recipe(folder / "strict.toml", policy="threshold", threshold=1.0, **quick)
    catbuilder = CommandLine(copy_of(small_survey), recipe)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    refused = catbuilder.round(np=2, expect=1, PYTHONPATH=path)
    assert rows(catbuilder.workspace, "SELECT count(*) FROM rounds") == [(0,)], "nothing was planned"
    return catbuilder, refused, catbuilder.round(n=2, PYTHONPATH=path)


def test_without_horovod_two_processes_are_refused_with_what_to_do(
    without_horovod: tuple[CommandLine, str, str],
) -> None:
    _, refused, _ = without_horovod
    (line,) = refused.splitlines()
    assert line.startswith("Error: more than one process needs Horovod")
    assert "scripts/build/build_horovod.sh" in line and "--np 1" in line


def test_a_run_that_can_promote_nothing_ends_and_says_so(without_horovod: tuple[CommandLine, str, str]) -> None:
    """And one process needs no Horovod: it has closed its round."""
    catbuilder, _, said = without_horovod
    assert "round 1 found nothing to promote or retract, so the run ends here" in said
    assert rows(catbuilder.workspace, "SELECT round, step FROM round_status") == [(1, "closed")]
    assert promoted(catbuilder.workspace) == {}


# Decisions on scores of our own choice


def recipe_of(folder: Path, **changes: object) -> Recipe:
    return load_recipe(write_recipe(folder / "recipe.toml", **changes))


def plan_of(workspace: Workspace, recipe: Recipe) -> RoundPlan:
    return make_plan(workspace, recipe, 1, 0, Reporter(quiet=True))


def des(scores: dict[int, float]) -> dict[tuple[str, int], float]:
    """Posteriors of spiral by place in the pool."""
    return {("des", POOL + place): p for place, p in scores.items()}


def test_surveys_are_ranked_apart_if_the_recipe_says_so(workspace: Workspace, tmp_path: Path) -> None:
    first = 900_000
    more = [(Source(first + i, 100 + i, 50.0), draw(CLASSES[i % 2], 9000 + i)) for i in range(6)]
    bring_in(workspace, tmp_path / "more", "sdss", more, split="pool")
    recipe = recipe_of(tmp_path, per_class=2)
    recipe = recipe.model_copy(update={"promotion": recipe.promotion.model_copy(update={"per_survey": True})})
    scores = des({0: 0.9, 7: 0.95, 5: 0.99, 1: 0.05, 2: 0.02, 4: 0.01})
    scores |= {("sdss", first + i): p for i, p in enumerate((0.6, 0.7, 0.8, 0.4, 0.3, 0.2))}
    finish_by_hand(workspace, plan_of(workspace, recipe), scores)
    assert promoted(workspace) == {
        POOL + 7: "spiral", POOL + 5: "spiral", POOL + 2: "elliptical", POOL + 4: "elliptical",
        first + 1: "spiral", first + 2: "spiral", first + 4: "elliptical", first + 5: "elliptical",
    }  # fmt: skip


def test_top_k_promotes_the_highest_posteriors_and_breaks_ties_by_id(workspace: Workspace, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, per_class=2)
    scores = {0: 0.8, 7: 0.9, 5: 0.9, 3: 0.9, 1: 0.05, 2: 0.2, 4: 0.3}
    finish_by_hand(workspace, plan_of(workspace, recipe), des(scores))
    assert promoted(workspace) == {
        POOL + 3: "spiral", POOL + 5: "spiral", POOL + 1: "elliptical", POOL + 2: "elliptical",
    }  # fmt: skip
    reasons = dict(rows(workspace, "SELECT object_id, reason FROM labels WHERE source = 'promoted'"))
    assert reasons[POOL + 5] == "top_k: 2 of the 2 surest spiral"


def test_top_k_promotes_nothing_below_the_floor(workspace: Workspace, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, per_class=5, floor=0.7)
    finish_by_hand(workspace, plan_of(workspace, recipe), des({0: 0.65, 1: 0.75, 2: 0.35}))
    assert promoted(workspace) == {POOL + 1: "spiral"}


def test_threshold_promotes_everything_that_reaches_it(workspace: Workspace, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, policy="threshold", threshold=0.75)
    finish_by_hand(workspace, plan_of(workspace, recipe), des({0: 0.75, 1: 0.7499, 2: 0.25, 3: 0.3, 4: 1.0}))
    assert promoted(workspace) == {POOL: "spiral", POOL + 2: "elliptical", POOL + 4: "spiral"}


def test_stars_and_calibration_objects_are_never_promoted(workspace: Workspace, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, policy="threshold", threshold=0.5)
    keys = rows(workspace, "SELECT survey, object_id FROM catalog WHERE quality = 'ok'")
    finish_by_hand(workspace, plan_of(workspace, recipe), dict.fromkeys(keys, 0.99))
    allowed = (
        "SELECT object_id FROM catalog WHERE split = 'pool' AND quality = 'ok' AND domain = 'in' AND test_set IS NULL"
    )
    assert set(promoted(workspace)) == {n for (n,) in rows(workspace, allowed)}


@pytest.fixture
def three_rounds(made_three_rounds: Path, copy_of: Callable[[Path], Path]) -> Workspace:
    """A copy of the three rounds."""
    return Workspace.open(copy_of(made_three_rounds))


@pytest.fixture(scope="module")
def made_three_rounds(small_survey: Path, copy_of: Callable[[Path], Path]) -> Path:
    """Round 1 promotes 0 to 3; 2 takes back 1 (too unsure) and 2 (other class), promotes 4; 3 promotes 2 again."""
    workspace = Workspace.open(copy_of(small_survey))
    recipe = recipe_of(workspace.path.parent, policy="threshold", threshold=0.9, floor=0.6)
    finish_by_hand(workspace, plan_of(workspace, recipe), des({0: 0.95, 1: 0.95, 2: 0.95, 3: 0.05, 4: 0.5}))
    finish_by_hand(workspace, plan_of(workspace, recipe), des({0: 0.65, 1: 0.55, 2: 0.05, 3: 0.3, 4: 0.99}))
    finish_by_hand(workspace, plan_of(workspace, recipe), des({0: 0.65, 1: 0.95, 2: 0.02, 3: 0.3, 4: 0.99}))
    return workspace.path


def test_a_promotion_that_a_later_round_scores_low_is_retracted(three_rounds: Workspace) -> None:
    found = rows(three_rounds, "SELECT object_id, label, reason FROM labels WHERE kind = 'retraction' ORDER BY event")
    assert [(n - POOL, label) for n, label, _ in found] == [(1, "spiral"), (2, "spiral")]
    assert found[0][2] == "round 2 scores it spiral at 0.5500, below the floor of 0.6"
    assert found[1][2] == "round 2 scores it elliptical at 0.9500"
    second = {n - POOL for _, n, _, source, _ in standing(three_rounds, 2) if source == "promoted"}
    assert second == {0, 3, 4}, "what was taken back in a round is not promoted in the same round"
    assert promoted(three_rounds) == {
        POOL: "spiral", POOL + 1: "spiral", POOL + 2: "elliptical", POOL + 3: "elliptical", POOL + 4: "spiral",
    }  # fmt: skip


@pytest.mark.parametrize("to", [0, 1, 2, 3])
def test_rollback_restores_the_labels_of_that_round(three_rounds: Workspace, to: int) -> None:
    before = [rows(three_rounds, CATALOG_AT.format(number)) for number in (1, 2, 3)]
    wanted = standing(three_rounds, to) if to else [row for row in standing(three_rounds) if row[3] != "promoted"]
    report = rollback(three_rounds, to)
    assert standing(three_rounds) == wanted
    assert [rows(three_rounds, CATALOG_AT.format(number)) for number in (1, 2, 3)] == before
    assert (report.retracted, report.reinstated) == {0: (5, 0), 1: (2, 1), 2: (2, 0), 3: (0, 0)}[to]

    events = rows(three_rounds, "SELECT * FROM labels ORDER BY event")
    again = rollback(three_rounds, to)
    assert (again.retracted, again.reinstated) == (0, 0)
    assert rows(three_rounds, "SELECT * FROM labels ORDER BY event") == events
    broken = [f for f in check(three_rounds) if f.faults and f.check != "models"]  # there are no real models
    assert not broken


def test_the_round_after_a_rollback_has_the_next_number_and_trains_on_what_stands(
    three_rounds: Workspace, tmp_path: Path
) -> None:
    rollback(three_rounds, 1)
    plan = plan_of(three_rounds, recipe_of(tmp_path))
    assert plan.round == 4
    trained_on = rows(three_rounds, "SELECT object_id FROM training WHERE round = 4 AND source = 'promoted'")
    assert {n - POOL for (n,) in trained_on} == {0, 1, 2, 3}


def test_rollback_is_refused_during_an_unfinished_round_and_to_an_unknown_round(
    three_rounds: Workspace, tmp_path: Path
) -> None:
    catbuilder = CommandLine(three_rounds.path, Path())
    assert "there is no round 9; the rounds are 1 to 3" in catbuilder("rollback", "--to", 9, expect=1)
    assert "2 promotions retracted, 1 reinstated" in catbuilder("rollback", "--to", 1)
    plan_of(three_rounds, recipe_of(tmp_path))
    assert "round 4 is not finished" in catbuilder("rollback", "--to", 1, expect=1)


def test_a_persons_label_beats_a_promoted_one_and_outlives_a_rollback(three_rounds: Workspace, tmp_path: Path) -> None:
    mine = write_csv(
        tmp_path / "mine.csv",
        [{"object_id": POOL, "label": "elliptical"}, {"object_id": POOL + 50, "label": "spiral"}],
    )
    import_labels(three_rounds, mine, source="human")
    said = "SELECT object_id, label, source FROM catalog WHERE source = 'human' ORDER BY object_id"
    expected = [(POOL, "elliptical", "human"), (POOL + 50, "spiral", "human")]
    assert rows(three_rounds, said) == expected
    # the model insists on spiral, surely: the person's word stands, and nothing is promoted over it
    plan = plan_of(three_rounds, recipe_of(tmp_path, policy="threshold", threshold=0.9))
    decisions = finish_by_hand(three_rounds, plan, des({0: 0.99, 50: 0.01}))
    assert (decisions.promoted, decisions.retracted) == ({}, 0)
    for to in (3, 0):
        rollback(three_rounds, to)
        assert rows(three_rounds, said) == expected


# Runs of several rounds, and abandoned rounds


def test_a_recipe_is_given_by_name_by_path_as_an_object_or_by_the_workspace(
    workspace: Workspace, tiny_recipe: Path
) -> None:
    demo = load_recipe("demo")
    assert workspace.recipe("demo") == workspace.recipe(demo) == demo
    assert workspace.recipe(tiny_recipe) == workspace.recipe(str(tiny_recipe)) == load_recipe(tiny_recipe)
    assert workspace.recipe() == load_recipe(workspace.config.recipe)


def test_fewer_than_one_round_is_refused(workspace: Workspace) -> None:
    with pytest.raises(InputError, match="give 1 or more"):
        run_rounds(workspace, 0)


def test_an_interrupted_run_ends_with_its_planned_last_round(
    workspace: Workspace, tiny_recipe: Path, tmp_path: Path
) -> None:
    plan = make_plan(workspace, load_recipe(tiny_recipe), 1, 0, Reporter(quiet=True), until=3)
    everything = rows(workspace, "SELECT survey, object_id FROM catalog WHERE quality = 'ok'")
    finish_by_hand(workspace, plan, dict.fromkeys(everything, 0.999))
    assert last_round_to_run(workspace, 3, Reporter(quiet=True)) == 3
    assert last_round_to_run(workspace, 1, Reporter(quiet=True)) == 2


def test_a_round_that_cannot_be_finished_can_be_abandoned(
    catbuilder: CommandLine, workspace: Workspace, tiny_recipe: Path
) -> None:
    assert "no round is unfinished" in catbuilder("round", "--abandon", expect=1)
    make_plan(workspace, load_recipe(tiny_recipe), 1, 0, Reporter(quiet=True), until=5)
    assert "Round 1 is abandoned" in catbuilder("round", "--abandon")
    assert "no finished round with a model" in catbuilder("score", expect=1)
    catbuilder("check")
    finish_by_hand(workspace, plan_of(workspace, load_recipe(tiny_recipe)), des({0: 0.99, 1: 0.01}))
    assert rows(catbuilder.workspace, "SELECT round, step FROM round_status ORDER BY round") == [
        (1, "closed"),
        (2, "closed"),
    ]


def test_files_of_a_lost_round_are_not_used_by_a_new_one(workspace: Workspace, tiny_recipe: Path) -> None:
    left = workspace.round_folder(1) / "model.safetensors"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"a model that was trained before an older catalogue was restored")
    make_plan(workspace, load_recipe(tiny_recipe), 1, 0, Reporter(quiet=True))
    assert not left.exists()
    assert (workspace.path / "rounds" / "001.lost-1" / "model.safetensors").exists()


def test_a_test_set_declared_while_a_round_runs_is_respected_by_its_decisions(
    workspace: Workspace, tiny_recipe: Path, tmp_path: Path
) -> None:
    plan = make_plan(workspace, load_recipe(tiny_recipe), 1, 0, Reporter(quiet=True))
    pool = rows(workspace, "SELECT object_id FROM catalog WHERE split = 'pool' AND test_set IS NULL AND quality = 'ok'")
    late = pool[0][0]
    add_test_set(
        workspace, "LATE", write_csv(tmp_path / "late.csv", [{"object_id": late}]), survey="des", without_truth=True
    )
    finish_by_hand(workspace, plan, {("des", number): 0.999 for (number,) in pool})
    assert late not in promoted(workspace) and promoted(workspace)


def test_a_score_that_is_not_a_number_is_never_promoted(workspace: Workspace, tiny_recipe: Path) -> None:
    plan = make_plan(workspace, load_recipe(tiny_recipe), 1, 0, Reporter(quiet=True))
    pool = rows(workspace, "SELECT object_id FROM catalog WHERE split = 'pool' AND test_set IS NULL AND quality = 'ok'")
    broken = pool[0][0]
    finish_by_hand(workspace, plan, {("des", n): float("nan") if n == broken else 0.999 for (n,) in pool})
    assert broken not in promoted(workspace) and promoted(workspace)
