"""Certified rounds whose promoted labels only assert: each certifies the whole pool anew."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits
from support.certified_sky import (
    CALIBRATION,
    CLASSES,
    N_CALIBRATION,
    N_POOL,
    POOL,
    Sky,
    certificates,
    certified,
    faults,
)
from support.contents import MadeOnce
from support.new_workspace import create_workspace
from support.workspaces import add_events, ask, close_round, label_event

from catbuilder.active_learning.answers import import_labels
from catbuilder.active_learning.select_objects import select_objects
from catbuilder.catalogue.database import connect
from catbuilder.catalogue.round_records import read_plan, record_step
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.recipe import Recipe, Speaking, Teaching
from catbuilder.decisions.calibration_set import require_calibration
from catbuilder.decisions.certificate_check import check_certificates
from catbuilder.decisions.certificates import certificate_sentence, read_certificates
from catbuilder.decisions.error_bounds import batch_bound
from catbuilder.exports.export import export
from catbuilder.inspection.check import check
from catbuilder.rounds.rollback import rollback

STANDING = "SELECT object_id, label, certificate FROM standing_labels_at() WHERE source = 'promoted' ORDER BY ALL"


def whole(**changes: object) -> Recipe:
    """A recipe that certifies the whole pool in each of three rounds."""
    return certified(teaching=Teaching(source="labelled"), **{"rounds": 3, **changes})


def recorded(folder: Path, spirals: float = 0.5) -> Sky:
    return Sky(create_workspace(folder / "ws", CLASSES, 32), spirals=spirals).record()


@pytest.fixture
def heavens(made_once: MadeOnce, copy_of: Callable[[Path], Path]) -> Sky:
    return Sky(Workspace.open(copy_of(made_once("certified-sky", recorded) / "ws")))


@pytest.fixture
def once(made_once: MadeOnce, copy_of: Callable[[Path], Path]) -> Sky:
    """The same after a round that certifies the whole pool."""
    made = made_once("whole-pool-1", lambda folder: recorded(folder).round(whole()))
    return Sky(Workspace.open(copy_of(made / "ws")))


@pytest.fixture(scope="module")
def blurred_once(made_once: MadeOnce) -> Path:
    """The same by another network, which has other errors; copy it, do not change it."""

    def make(folder: Path) -> None:
        sky = recorded(folder)
        sky.round(whole(), sky.blurred(1))

    return made_once("whole-pool-blurred-1", make) / "ws"


@pytest.fixture(scope="module")
def blurred_twice(blurred_once: Path, made_once: MadeOnce) -> Path:
    """Then a round by a third network; copy it, do not change it."""

    def make(folder: Path) -> None:
        sky = Sky(Workspace.open(shutil.copytree(blurred_once, folder / "ws")))
        sky.round(whole(), sky.blurred(2, 1.0))

    return made_once("whole-pool-blurred-2", make) / "ws"


@pytest.fixture
def twice(blurred_twice: Path, copy_of: Callable[[Path], Path]) -> Sky:
    """A copy of that."""
    return Sky(Workspace.open(copy_of(blurred_twice)))


def covered(sky: Sky, number: int) -> dict[str, list[int]]:
    """Pool objects at or above the thresholds of a round's certificates, by class."""
    text = (
        "SELECT c.class, p.object_id FROM certificates AS c JOIN predictions AS p ON p.model = c.round "
        "AND p.predicted_label = c.class AND p.calibrated_confidence >= c.threshold::FLOAT "
        "WHERE c.round = ? AND p.object_id >= ?"
    )
    found: dict[str, list[int]] = {name: [] for name in CLASSES}
    for name, object_id in ask(sky.workspace, text, number, POOL):
        found[name].append(object_id)
    return found


def assert_each_label_once(sky: Sky) -> None:
    twice = (
        "SELECT object_id FROM labels AS l WHERE source = 'promoted' AND kind = 'label' "
        "AND event NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL) GROUP BY ALL HAVING count(*) > 1"
    )
    assert ask(sky.workspace, twice) == []


def test_every_round_counts_all_calibration_objects_and_covers_the_whole_pool(once: Sky) -> None:
    first = ask(once.workspace, STANDING)
    number = once.round(whole())
    counted = "SELECT round, count(*) FROM calibration GROUP BY ALL ORDER BY ALL"
    assert ask(once.workspace, counted) == [(1, N_CALIBRATION), (2, N_CALIBRATION)]
    for name, row in certificates(once.workspace, number).items():
        before = certificates(once.workspace, 1)[name]
        assert row["verdict"] == "certified" and "labelled by nobody" in row["population"]
        same = ("threshold", "n", "errors", "batch", "batch_errors", "delta", "calibration_sha256")
        assert {key: row[key] for key in same} == {key: before[key] for key in same}
        assert row["delta"] == pytest.approx(0.05 / (3 * 2))
    assert ask(once.workspace, STANDING) == first, "nothing is asserted twice, and labels keep their certificate"
    assert faults(once.workspace) == []


def test_the_batch_is_all_that_a_certificate_covers_and_only_what_has_no_label_is_promoted(
    blurred_once: Path, twice: Sky
) -> None:
    first, number = Workspace.open(blurred_once), 2
    before = {n: (label, certificate) for n, label, certificate in ask(first, STANDING)}
    after = {n: (label, certificate) for n, label, certificate in ask(twice.workspace, STANDING)}
    taken_back = {n for (n,) in ask(twice.workspace, "SELECT object_id FROM labels WHERE kind = 'retraction'")}
    found = covered(twice, number)
    for name, row in certificates(twice.workspace, number).items():
        assert row["verdict"] == "certified" and row["batch"] == len(found[name])
        bound = batch_bound(row["errors"], row["n"], row["batch"], row["delta"] / len(row["grid"]))
        assert sum(twice.truth["des", n] != name for n in found[name]) <= row["batch_errors"] == bound
        new = set(found[name]) - set(before)
        assert 0 < len(new) < len(found[name])
        assert {n for n, label in after.items() if label == (name, f"r002-{name}")} == new
    kept = {n: label for n, label in before.items() if n not in taken_back}
    assert taken_back and {n: label for n, label in after.items() if n in before} == kept
    assert set(kept) - {n for ids in found.values() for n in ids}, "some that the new certificates do not cover"
    assert_each_label_once(twice)
    assert faults(twice.workspace) == []


def test_the_words_say_how_many_are_covered_and_how_many_new(twice: Sky) -> None:
    for row in read_certificates(twice.workspace).to_pylist():
        said = certificate_sentence(row)
        if row["round"] == 1:
            assert f"{row['batch']} objects of the des pool promoted at" in said and row["promoted"] == row["batch"]
        else:
            assert f"{row['batch']} objects of the des pool covered at" in said
            assert f"and {row['promoted']} of them newly promoted" in said
        assert f"at most {row['batch_errors']} of these {row['batch']}" in said


def test_a_label_that_the_model_contradicts_is_taken_back_and_may_be_asserted_later(once: Sky) -> None:
    taken, label = ask(once.workspace, "SELECT object_id, label FROM labels WHERE source = 'promoted' LIMIT 1")[0]
    other = {("des", taken): (0.999, 0.001) if label == "spiral" else (0.001, 0.999)}
    once.round(whole(), once.scores | other)
    assert taken in {n for ids in covered(once, 2).values() for n in ids}, "covered as the other class"
    once.round(whole())
    story = "SELECT kind, round, certificate FROM labels WHERE object_id = ? ORDER BY event"
    assert ask(once.workspace, story, taken) == [
        ("label", 1, f"r001-{label}"), ("retraction", 2, None), ("label", 3, f"r003-{label}")]  # fmt: skip
    assert faults(once.workspace) == []


def test_a_rollback_leaves_the_labels_of_its_round_and_the_past_as_it_was(blurred_once: Path, twice: Sky) -> None:
    past = "SELECT * FROM catalog_at({}) ORDER BY ALL"
    first = ask(Workspace.open(blurred_once), STANDING)
    were = [ask(twice.workspace, past.format(number)) for number in (1, 2)]
    rollback(twice.workspace, 1)
    assert ask(twice.workspace, STANDING) == first
    number = twice.round(whole(), twice.blurred(2, 1.0))
    assert {row["verdict"] for row in certificates(twice.workspace, number).values()} == {"certified"}
    for name, row in certificates(twice.workspace, number).items():
        assert row["batch"] == certificates(twice.workspace, 2)[name]["batch"]
    assert [ask(twice.workspace, past.format(number)) for number in (1, 2)] == were
    assert_each_label_once(twice)
    assert faults(twice.workspace) == []


def test_later_changes_of_the_sets_do_not_change_what_a_batch_was(once: Sky) -> None:
    n = covered(once, 1)["spiral"][0]
    with once.workspace.recording("a new test object") as recording:
        recording.con.execute(
            "INSERT INTO test_sets VALUES ('HP', 'des', ?, 'spiral', 1, ?, ?, NULL)",
            [n, recording.round, recording.run],
        )
    assert faults(once.workspace) == []
    once.round(whole())
    assert ask(once.workspace, "SELECT kind FROM labels WHERE object_id = ? ORDER BY event", n) == [
        ("label",), ("retraction",)]  # fmt: skip
    assert n not in {m for (m,) in ask(once.workspace, "SELECT object_id FROM covered_at(2, 'des')")}
    assert faults(once.workspace) == []


def test_objects_that_people_labelled_are_not_covered(once: Sky) -> None:
    asked = covered(once, 1)["spiral"][:3]
    with once.workspace.recording("answers") as recording:
        add_events(recording, *(label_event("des", n, "spiral", "human", annotator="edwin") for n in asked))
    once.round(whole())
    assert certificates(once.workspace, 2)["spiral"]["batch"] == certificates(once.workspace, 1)["spiral"]["batch"] - 3
    assert faults(once.workspace) == []


def test_an_audit_samples_what_is_covered_and_a_broken_one_takes_all_of_it_back(heavens: Sky, tmp_path: Path) -> None:
    heavens.round(whole(audit=0))
    number = heavens.round(whole(audit=40))
    queued = {n for (n,) in ask(heavens.workspace, "SELECT object_id FROM queue WHERE certificate = 'r002-spiral'")}
    assert len(queued) > 10 and queued <= set(covered(heavens, number)["spiral"])
    assert ask(heavens.workspace, "SELECT count(*) FROM labels WHERE certificate = 'r002-spiral'") == [(0,)]
    listed = select_objects(heavens.workspace, "audit", 100)
    assert queued <= set(listed["object_id"].to_pylist()), "though no label names the certificate"
    answers = tmp_path / "answers.csv"
    answers.write_text("survey,object_id,label\n" + "".join(f"des,{n},elliptical\n" for n in queued))
    said = import_labels(heavens.workspace, answers, source="human").audits
    assert any("broken" in sentence and "every label that it covers is retracted" in sentence for sentence in said)
    standing = {(n, label) for n, label, _ in ask(heavens.workspace, STANDING)}
    assert standing == {(n, "elliptical") for n in covered(heavens, 1)["elliptical"]}
    rollback(heavens.workspace, 1)
    assert {(n, label) for n, label, _ in ask(heavens.workspace, STANDING)} == standing, "not reinstated"
    assert faults(heavens.workspace) == []


@pytest.mark.parametrize("quota", ["threshold", "random"])
def test_the_shares_of_a_quota_do_not_add_up_over_rounds(
    made_once: MadeOnce, copy_of: Callable[[Path], Path], quota: str
) -> None:
    made = made_once("certified-sky-spirals-25", lambda folder: recorded(folder, spirals=0.25))
    heavens = Sky(Workspace.open(copy_of(made / "ws")), spirals=0.25)
    heavens.round(whole(quota=quota))
    first = ask(heavens.workspace, STANDING)
    assert 0 < len(first) < N_POOL
    heavens.round(whole(quota=quota))
    assert ask(heavens.workspace, STANDING) == first
    assert faults(heavens.workspace) == []


def test_after_rounds_that_trained_on_promoted_labels_their_cuts_are_still_left_out(heavens: Sky) -> None:
    """Round 2 has trained on what round 1 promoted; what round 2 promoted, no network has seen."""
    plain = certified(rounds=3)
    heavens.round(plain, heavens.blurred(1, 3.0))
    heavens.round(plain, heavens.blurred(2, 1.0))
    number = heavens.round(whole())
    with heavens.workspace.reading() as con:
        cuts = con.execute("SELECT DISTINCT round FROM taken_cuts_at(3, 'des')").fetchall()
    assert cuts == [(1,)]
    taken = "SELECT object_id FROM labels WHERE kind = 'label' AND certificate LIKE 'r00{}%'"
    first, second = ({n for (n,) in ask(heavens.workspace, taken.format(k))} for k in (1, 2))
    about = {n for (n,) in ask(heavens.workspace, "SELECT object_id FROM certifiable_at(?, 'des')", number)}
    assert first and second and not about & first and second <= about
    left = ask(heavens.workspace, "SELECT count(*) FROM calibration WHERE round = ?", number)[0][0]
    assert 0 < left < N_CALIBRATION
    assert faults(heavens.workspace) == []


def test_a_round_that_was_given_up_before_it_trained_leaves_nothing_out(once: Sky) -> None:
    with once.workspace.recording("planned without teaching, and abandoned") as recording:
        ((text,),) = recording.con.execute("SELECT plan FROM rounds").fetchall()
        plan = json.loads(text)
        plan["recipe"]["teaching"] = None
        copied = "INSERT INTO rounds SELECT * REPLACE (2 AS round, ?::JSON AS plan) FROM rounds"
        recording.con.execute(copied, [json.dumps(plan)])
        record_step(recording, 2, "planned", "{}")
        record_step(recording, 2, "closed", "{}")
    number = once.round(whole())
    assert number == 3
    assert ask(once.workspace, "SELECT count(*) FROM calibration WHERE round = 3") == [(N_CALIBRATION,)]


def test_labels_of_another_policy_stand_without_a_certificate(heavens: Sky) -> None:
    surest = sorted(heavens.scores, key=lambda key: heavens.scores[key][1])[-60:]
    pool = [n for _, n in surest if n >= POOL]
    recipe = whole()
    top = recipe.model_copy(
        update={"promotion": recipe.promotion.model_copy(update={"policy": "top_k", "per_class": 20})}
    )
    heavens.round(top)
    number = heavens.round(recipe)
    row = certificates(heavens.workspace, number)["spiral"]
    assert ask(heavens.workspace, "SELECT count(*) FROM calibration WHERE round = 2") == [(N_CALIBRATION,)]
    assert row["batch"] == len(covered(heavens, number)["spiral"]) > len(pool)
    text = "SELECT count(*) FROM standing_labels_at() WHERE source = 'promoted' AND certificate IS NULL"
    assert ask(heavens.workspace, text) == [(40,)]
    assert_each_label_once(heavens)
    assert faults(heavens.workspace) == []


def test_a_model_that_does_not_speak_certifies_nothing_and_spends_nothing(once: Sky, tmp_path: Path) -> None:
    recipe = whole().model_copy(update={"speaking": Speaking(gate=0.1)})
    before = ask(once.workspace, STANDING)
    close_round(once.workspace, {key: (q, p) for key, (p, q) in once.scores.items()}, recipe=recipe, by_policy=True)
    assert ask(once.workspace, "SELECT model FROM refusals") == [(2,)]
    assert certificates(once.workspace, 2) == {} and ask(once.workspace, STANDING) == before
    export(once.workspace, tmp_path / "out.fits")
    assert fits.getheader(tmp_path / "out.fits")["ROUND"] == 1, "the model that speaks"
    once.round(recipe)
    assert certificates(once.workspace, 3)["spiral"]["delta_spent"] == pytest.approx(0.05 * 2 / 3)
    assert faults(once.workspace) == []


def test_calibration_objects_that_come_late_count_at_once(once: Sky) -> None:
    with once.workspace.reading() as con:
        assert require_calibration(con, whole(), CLASSES) is None
        told = require_calibration(con, certified(rounds=3), CLASSES)
    assert told is not None and "in the certifying half" in told, "without teaching what was taken is gone"


@pytest.mark.parametrize("recipe", [whole(), certified(rounds=3)], ids=["asserts", "trains"])
def test_calibration_objects_are_drawn_from_all_that_is_certified(heavens: Sky, recipe: Recipe) -> None:
    """From the unlabelled objects alone they would be harder than the pool that a later round certifies."""
    heavens.round(recipe)
    promoted = {n for n, _, _ in ask(heavens.workspace, STANDING)}
    drawn = set(select_objects(heavens.workspace, "random", 200, purpose="calibration")["object_id"].to_pylist())
    if recipe.teaching is None:
        assert not drawn & promoted, "those have trained networks"
        return
    share = len(drawn & promoted) / len(drawn)
    assert len(drawn) == 200 and abs(share - len(promoted) / N_POOL) < 0.1
    assert {n for n, _, _ in ask(heavens.workspace, STANDING)} == promoted - drawn
    with heavens.workspace.recording("answers") as recording:
        add_events(recording, *(label_event("des", n, heavens.truth["des", n], "human") for n in sorted(drawn)))
    number = heavens.round(recipe)
    counted = {n for (n,) in ask(heavens.workspace, "SELECT object_id FROM calibration WHERE round = ?", number)}
    assert drawn < counted and len(counted) == N_CALIBRATION + 200
    missing = ("stamps", "models")  # this sky has no files
    assert [one.faults for one in check(heavens.workspace) if one.faults and one.check not in missing] == []


def test_objects_trained_on_neither_certify_nor_are_certified(heavens: Sky) -> None:
    trained = [("des", n, "training", "spiral") for n in (CALIBRATION, POOL)]
    taught = [("des", n, "teaching", "spiral") for n in (CALIBRATION + 1, POOL + 1)]
    close_round(heavens.workspace, heavens.scores, trained_on=trained + taught, recipe=whole(), by_policy=True)
    counted = {n for (n,) in ask(heavens.workspace, "SELECT object_id FROM calibration")}
    about = {n for (n,) in ask(heavens.workspace, "SELECT object_id FROM certifiable_at(1, 'des')")}
    assert CALIBRATION not in counted and CALIBRATION + 1 in counted
    assert POOL not in about and POOL + 1 in about
    assert faults(heavens.workspace) == []


TAMPERINGS = [
    ("UPDATE certificates SET batch = batch - 1 WHERE round = 2", "batch is recorded"),
    ("UPDATE certificates SET errors = errors + 1 WHERE round = 2", "errors is recorded"),
    ("UPDATE certificates SET population = 'everything' WHERE round = 2", "population is recorded"),
    ("UPDATE certificates SET delta_spent = 0.001 WHERE round = 2", "delta_spent is recorded"),
    ("DELETE FROM labels WHERE event = (SELECT max(event) FROM labels)", "which certificate r002-"),
    ("INSERT INTO labels SELECT * REPLACE (event + 100000 AS event, 2 AS round, 'r002-' || label AS certificate) "
     "FROM labels WHERE event = (SELECT min(event) FROM standing_labels_at() WHERE source = 'promoted')",
     "has a promoted label already"),
    ("DELETE FROM calibration WHERE round = 2 AND object_id % 7 = 0", "left out the calibration object"),
    ("UPDATE promotion_cuts SET threshold = 0 WHERE round = 2", "differs from the certificate"),
    ("UPDATE splits SET split = 'train' WHERE object_id = (SELECT min(object_id) FROM labels "
     "WHERE source = 'promoted' AND round = 1)", "batch is recorded"),
]  # fmt: skip


def test_check_recomputes_the_certificates_of_the_whole_pool(twice: Sky) -> None:
    with connect(twice.workspace.catalog_file, read_only=False) as con:
        plan = read_plan(con, 2)
        for tampering, said in TAMPERINGS:
            con.begin()
            con.execute(tampering)
            found = check_certificates(con, plan)
            con.rollback()
            assert any(said in fault for fault in found), f"{tampering}\n{found}"
        assert check_certificates(con, plan) == [], "each was undone"
