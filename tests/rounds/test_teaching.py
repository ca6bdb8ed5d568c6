"""Rounds in which pool images teach by what earlier models predict, and models of several rounds speak together."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.contents import MadeOnce, assert_same_contents, contents, rows
from support.toy_rounds import CERTIFIED, POOL, TEACHING, Toy, build_toy, toy_at

from catbuilder.catalogue.round_records import read_plan, training_manifest_file
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import load_recipe
from catbuilder.inspection.why import why
from catbuilder.rounds.planning import make_plan

SETS = """
    SELECT t.round, t.role, t.source, d.split, count(*)
    FROM training AS t JOIN splits AS d ON d.survey = t.survey AND d.object_id = t.object_id
    GROUP BY ALL ORDER BY ALL
"""


@pytest.fixture(scope="module")
def toy(made_once: MadeOnce) -> Toy:
    return toy_at(made_once("toy", build_toy))


@pytest.fixture(scope="module")
def begun(toy: Toy, made_once: MadeOnce) -> Toy:
    """The toy survey after one round; copy it, do not change it."""
    return toy.on(made_once("toy-begun", toy.begin) / "ws")


@pytest.fixture(scope="module")
def taught(begun: Toy, copy_of: Callable[[Path], Path]) -> Toy:
    """The same after a second round, in which images without a label teach."""
    ran = begun.on(copy_of(begun.workspace))
    said = ran.round(*TEACHING)
    told = r"round 2: 40[01] images without a label teach too, by the predictions of the model of round 1"
    assert re.search(told, said), "each class is rounded up"
    return ran


def who_spoke(ran: Toy, number: int) -> tuple[int | None, tuple[int, ...]]:
    """The round whose model taught in a round, and the earlier rounds whose networks its model is averaged with."""
    with Workspace.open(ran.workspace).reading() as con:
        plan = read_plan(con, number)
    return plan.teacher, plan.averaged_with


def test_the_surest_of_pool_and_calibration_teach_and_no_promoted_label_trains(taught: Toy) -> None:
    found = rows(taught.workspace, SETS)
    of_round = {number: Counter() for number in (1, 2)}
    for number, role, source, split, n in found:
        of_round[number][role, source, split] = n
    assert not any(role == "teaching" for role, _, _ in of_round[1]), "there was no model to teach"
    labelled = {key: n for key, n in of_round[1].items()}
    assert {key: n for key, n in of_round[2].items() if key[0] != "teaching"} == labelled
    assert set(of_round[2]) - set(labelled) == {("teaching", "taught", "pool"), ("teaching", "taught", "calibration")}
    # 1,000 images of the target, four tenths of each class; both halves are alike, so that each gives about half
    teaching = [n for (role, _, _), n in of_round[2].items() if role == "teaching"]
    assert sum(teaching) in (400, 401) and min(teaching) > 160
    assert len(taught.promoted(1)) == 120, "labels are asserted as before"


def test_balanced_teaching_takes_as_many_of_each_class_and_none_below_the_least(
    taught: Toy, copy_of: Callable[[Path], Path]
) -> None:
    ran = taught.on(copy_of(taught.workspace))
    balanced = ("teaching.surest=1.0", "teaching.balanced=true", "teaching.least=0.8", "teaching.images=300")
    ran.round(*TEACHING, *(word for setting in balanced for word in ("--set", setting)))
    text = """
        SELECT t.label, count(*), min(p.predicted_confidence) >= 0.8 FROM training AS t
        JOIN predictions AS p ON p.survey = t.survey AND p.object_id = t.object_id AND p.model = 2
        WHERE t.round = 3 AND t.role = 'teaching' GROUP BY ALL ORDER BY ALL
    """
    assert rows(ran.workspace, text) == [("elliptical", 150, True), ("spiral", 150, True)]
    assert who_spoke(ran, 3) == (2, (1, 2))


def test_an_image_teaches_as_the_class_that_the_earlier_model_predicted(taught: Toy) -> None:
    differing = """
        SELECT count(*) FROM training AS t
        JOIN predictions AS p ON p.survey = t.survey AND p.object_id = t.object_id AND p.model = 1
        WHERE t.role = 'teaching' AND t.label <> p.predicted_label
    """
    assert rows(taught.workspace, differing) == [(0,)]
    least = """
        SELECT min(p.predicted_confidence) FILTER (t.object_id IS NOT NULL) >=
               max(p.predicted_confidence) FILTER (t.object_id IS NULL)
        FROM predictions AS p
        JOIN splits AS d ON d.survey = p.survey AND d.object_id = p.object_id AND d.split IN ('pool', 'calibration')
        LEFT JOIN training AS t ON t.survey = p.survey AND t.object_id = p.object_id AND t.role = 'teaching'
        WHERE p.model = 1 GROUP BY p.predicted_label
    """
    assert rows(taught.workspace, least) == [(True,), (True,)]


def test_why_tells_of_an_image_that_taught(taught: Toy) -> None:
    ((object_id,),) = rows(
        taught.workspace, f"SELECT min(object_id) FROM training WHERE role = 'teaching' AND object_id >= {POOL}"
    )
    story = [detail for _, _, detail in why(Workspace.open(taught.workspace), object_id, "des").events]
    assert any("its image taught round 2 as" in detail and "by the model of round 1 (" in detail for detail in story)


def test_the_model_of_the_second_round_is_the_mean_of_both_rounds_networks(taught: Toy) -> None:
    files = rows(taught.workspace, "SELECT model, member, file FROM members ORDER BY ALL")
    assert files == [(2, 0, "rounds/002/model.safetensors"), (2, 1, "rounds/001/model.safetensors")]
    between = """
        SELECT count(*) FROM predictions WHERE model = 2 AND mutual_information IS NULL
    """
    assert rows(taught.workspace, between) == [(0,)]
    assert taught.faults() == {}


def test_killed_and_without_its_manifest_a_round_ends_in_the_same_catalogue(
    begun: Toy, taught: Toy, copy_of: Callable[[Path], Path]
) -> None:
    again = begun.on(copy_of(begun.workspace))
    again.round(*TEACHING, fault="train.before_commit")
    training_manifest_file(Workspace.open(again.workspace), 2).unlink()
    said = again.round(*TEACHING, fault="score.before_commit")
    assert "was missing or damaged; it was rebuilt from the catalogue" in said
    again.round(*TEACHING, fault="decide.after_commit")
    again.round(*TEACHING)
    assert who_spoke(again, 2) == (1, (1,))
    assert_same_contents(again.workspace, contents(taught.workspace))
    assert again.faults() == {}


def test_the_control_trains_as_long_on_labelled_images_alone(
    begun: Toy, taught: Toy, copy_of: Callable[[Path], Path]
) -> None:
    control = begun.on(copy_of(begun.workspace))
    control.round(*TEACHING, "--set", "teaching.source=labelled", "--set", "promotion.policy=none")
    sources = rows(control.workspace, "SELECT DISTINCT role, source FROM training ORDER BY ALL")
    assert sources and not {"teaching", "promoted"} & {word for row in sources for word in row}
    assert control.promoted(2) == {} and len(control.promoted(1)) == 120, "the second round promotes nothing"
    epochs = "SELECT epochs FROM models ORDER BY model"
    assert rows(control.workspace, epochs) == rows(taught.workspace, epochs)


def test_a_rolled_back_round_neither_teaches_nor_speaks_with_others(
    taught: Toy, copy_of: Callable[[Path], Path]
) -> None:
    again = taught.on(copy_of(taught.workspace))
    again.command("rollback", "--to", "1")
    recipe = load_recipe(again.command.recipe, ["teaching.surest=0.4", "speaking.model=mean"])
    make_plan(Workspace.open(again.workspace), recipe, 1, 0, Reporter(quiet=True))
    assert who_spoke(again, 3) == (1, (1,))
    text = "SELECT round, survey, object_id, label FROM training WHERE role = 'teaching' ORDER BY ALL"
    found = {number: [row[1:] for row in rows(again.workspace, text) if row[0] == number] for number in (2, 3)}
    assert found[2] and found[3] == found[2], "it is taught as round 2 was"


def test_certified_rounds_that_teach_each_certify_the_whole_pool(toy: Toy, copy_of: Callable[[Path], Path]) -> None:
    ran = toy.on(copy_of(toy.workspace))
    said = ran.round(*TEACHING, *CERTIFIED, n=2)
    assert "newly promoted" in said
    counted = rows(ran.workspace, "SELECT round, count(*) FROM calibration GROUP BY ALL ORDER BY ALL")
    assert counted == [(1, 500), (2, 500)]
    batches = rows(ran.workspace, "SELECT round, class, verdict, batch, batch_errors FROM certificates ORDER BY ALL")
    for number, name, verdict, batch, most in batches:
        text = "SELECT object_id FROM covered_at(?, 'des') WHERE predicted_label = ?"
        covered = [n for (n,) in rows(ran.workspace, text, [number, name])]
        assert verdict == "certified" and len(covered) == batch > 100
        assert sum(ran.truth[n] != name for n in covered) <= most
    assert not set(ran.promoted(1)) & set(ran.promoted(2))
    assert ran.faults() == {}


def test_check_finds_an_image_that_taught_otherwise_than_predicted(
    taught: Toy, copy_of: Callable[[Path], Path]
) -> None:
    again = taught.on(copy_of(taught.workspace))
    with Workspace.open(again.workspace).recording("a wrong row") as recording:
        recording.con.execute(
            "INSERT INTO training SELECT round, survey, object_id + 1000000, role, label, source, ? FROM training "
            "WHERE role = 'teaching' LIMIT 1",
            [recording.run],
        )
    assert again.faults()["taught_as_predicted"] == 1
