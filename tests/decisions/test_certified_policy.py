"""The policy `certified`: promotions, certificates, refusals, and recomputing them."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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
from support.workspaces import RECIPE, add_events, add_objects, ask, close_round, label_event

from catbuilder.catalogue.database import connect
from catbuilder.catalogue.round_records import read_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import NothingToCertify
from catbuilder.decisions.calibration_set import require_calibration
from catbuilder.decisions.certificate_check import check_certificates
from catbuilder.decisions.error_bounds import batch_bound, zero_error_n
from catbuilder.exports.export import export
from catbuilder.inspection.browse import CatalogueFilter
from catbuilder.inspection.check import check
from catbuilder.rounds.rollback import rollback


@pytest.fixture
def workspace_of(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws", CLASSES, 32)


def recorded(folder: Path) -> Sky:
    return Sky(create_workspace(folder / "ws", CLASSES, 32)).record()


@pytest.fixture
def heavens(made_once: MadeOnce, copy_of: Callable[[Path], Path]) -> Sky:
    return Sky(Workspace.open(copy_of(made_once("certified-sky", recorded) / "ws")))


@pytest.fixture
def spent(made_once: MadeOnce, copy_of: Callable[[Path], Path]) -> Sky:
    """The same after a round that certifies, the only one that its recipe allows."""
    made = made_once("certified-sky-1-of-1", lambda folder: recorded(folder).round(certified()))
    return Sky(Workspace.open(copy_of(made / "ws")))


@pytest.fixture
def half_spent(made_once: MadeOnce, copy_of: Callable[[Path], Path]) -> Sky:
    """The same after the first of two rounds."""
    made = made_once("certified-sky-1-of-2", lambda folder: recorded(folder).round(certified(rounds=2)))
    return Sky(Workspace.open(copy_of(made / "ws")))


def test_a_certificate_says_what_was_counted_and_what_follows(spent: Sky) -> None:
    for name, row in certificates(spent.workspace, 1).items():
        assert row["verdict"] == "certified" and row["certificate"] == f"r001-{name}"
        n, errors = ask(
            spent.workspace,
            "SELECT count(*), count(*) FILTER (c.truth <> p.predicted_label) FROM calibration AS c "
            "JOIN predictions AS p USING (survey, object_id) "
            "WHERE half = 'certify' AND predicted_label = ? AND calibrated_confidence >= ?", name, row["threshold"],
        )[0]  # fmt: skip
        assert (row["n"], row["errors"]) == (n, errors) and n >= zero_error_n(0.05, 0.025)
        batch = ask(spent.workspace, "SELECT count(*) FROM labels WHERE certificate = ?", row["certificate"])[0][0]
        assert row["batch"] == batch > 100
        assert row["batch_errors"] == batch_bound(errors, n, batch, 0.025 / len(row["grid"]))
        assert spent.wrong(row["certificate"]) <= row["batch_errors"]
        assert row["delta_spent"] == pytest.approx(0.05) and row["population_bound"] <= 0.05
        assert "galaxy_zoo" in row["truth"] and "des" in row["population"]
    assert faults(spent.workspace) == []
    assert ask(spent.workspace, "SELECT count(*) FROM queue")[0][0] == 6  # three of each batch, more than 5


def test_confidences_are_calibrated_when_they_are_recorded(workspace_of: Workspace) -> None:
    heavens = Sky(workspace_of, separation=2.0).record()
    steep = {key: tuple(np.array(p) ** 3 / (np.array(p) ** 3).sum()) for key, p in heavens.scores.items()}
    heavens.round(certified(), steep)
    ((scale, n),) = ask(heavens.workspace, "SELECT scale[1], n FROM calibrators")
    assert scale == pytest.approx(1 / 3, abs=0.06)
    assert 500 < n < 700, "the fitting half"
    found = ask(heavens.workspace, "SELECT max(abs(calibrated_confidence - greatest(p_spiral, p_elliptical) ** $1 / "
                "(p_spiral ** $1 + p_elliptical ** $1))) FROM predictions", scale)  # fmt: skip
    assert found[0][0] < 1e-5
    metrics = dict(ask(heavens.workspace, "SELECT variable, value FROM metrics WHERE metric = 'ece'"))
    assert metrics["calibrated confidence"] < metrics["raw confidence"]
    sure = CatalogueFilter(least=0.9).where()
    count = "SELECT count(*) FROM catalog WHERE "
    assert ask(heavens.workspace, count + sure) == ask(heavens.workspace, count + "calibrated_confidence >= 0.9")
    curve = ask(heavens.workspace, "SELECT sum(n) FROM metrics WHERE metric = 'reliability' AND variable LIKE 'raw%'")
    assert curve == [(N_CALIBRATION - n,)], "the certifying half, all of it"


def test_nothing_is_certified_twice_of_the_same_objects(half_spent: Sky) -> None:
    """Promoted pool objects are gone, and so are the calibration objects that would have been promoted."""
    first = 1
    counted = ask(half_spent.workspace, "SELECT count(*) FROM calibration WHERE round = ?", first)[0][0]
    cuts = ask(half_spent.workspace, "SELECT class, threshold FROM promotion_cuts ORDER BY ALL")
    again = half_spent.round(certified(rounds=2))
    left = ask(half_spent.workspace, "SELECT count(*) FROM calibration WHERE round = ?", again)[0][0]
    above = ask(
        half_spent.workspace,
        "SELECT count(*) FROM calibration AS c JOIN predictions AS p USING (survey, object_id, round) "
        "JOIN promotion_cuts AS k ON k.round = p.round AND k.class = p.predicted_label "
        "WHERE c.round = 1 AND calibrated_confidence >= threshold",
    )[0][0]
    assert counted == N_CALIBRATION and left == counted - above and len(cuts) == 2
    assert ask(half_spent.workspace, "SELECT count(*) FROM labels WHERE source = 'promoted' GROUP BY object_id "
               "HAVING count(*) > 1") == []  # fmt: skip
    assert all(row["verdict"] == "refused" for row in certificates(half_spent.workspace, again).values())
    assert faults(half_spent.workspace) == []


def test_after_a_rollback_everything_may_be_certified_again(half_spent: Sky) -> None:
    rollback(half_spent.workspace, 0)
    number = half_spent.round(certified(rounds=2))
    assert ask(half_spent.workspace, "SELECT count(*) FROM calibration WHERE round = ?", number)[0][0] == N_CALIBRATION
    assert {row["verdict"] for row in certificates(half_spent.workspace, number).values()} == {"certified"}
    assert faults(half_spent.workspace) == []


def test_objects_reinstated_by_a_rollback_leave_pool_and_calibration_alike(half_spent: Sky) -> None:
    for to in (0, 1):
        rollback(half_spent.workspace, to)
    with half_spent.workspace.reading() as con:
        left = con.sql("SELECT object_id FROM left_at(2, 'des', promoted_train := true)").fetchnumpy()["object_id"]
    batch = sum(row["batch"] for row in certificates(half_spent.workspace, 1).values())
    assert (left >= POOL).sum() == N_POOL - batch
    assert (left < POOL).sum() < N_CALIBRATION - 0.8 * batch * N_CALIBRATION / N_POOL


def test_an_object_whose_label_was_retracted_is_not_certified_later(heavens: Sky) -> None:
    heavens.round(certified(rounds=3))
    taken, label = ask(heavens.workspace, "SELECT object_id, label FROM labels WHERE source = 'promoted' LIMIT 1")[0]
    other = {("des", taken): (1.0, 0.0) if label == "spiral" else (0.0, 1.0)}
    heavens.round(certified(rounds=3), heavens.scores | other)
    assert ask(heavens.workspace, "SELECT kind FROM labels WHERE object_id = ? ORDER BY event", taken) == [
        ("label",), ("retraction",)]  # fmt: skip
    heavens.round(certified(rounds=3))
    assert len(ask(heavens.workspace, "SELECT 1 FROM labels WHERE object_id = ?", taken)) == 2


def test_a_tie_is_an_error_and_an_unlabelled_object_does_not_count(heavens: Sky) -> None:
    with heavens.workspace.recording("more") as recording:
        add_objects(recording, "des", [90_001, 90_002], split="calibration", domain="in")
        add_objects(recording, "sdss", [1], split="none")
        recording.con.execute(
            "INSERT INTO galaxy_zoo BY NAME SELECT 'sdss' AS survey, 1 AS object_id, 0.5 AS p_el_debiased, "
            "0.5 AS p_cs_debiased, ? AS round, ? AS run", [recording.round, recording.run])  # fmt: skip
        place = [recording.round, recording.run]
        recording.con.execute("INSERT INTO crossmatches VALUES ('sdss', 'des', 1.0, 1, ?, ?)", place)
        recording.con.execute("INSERT INTO matches VALUES ('sdss', 1, 'des', 90001, 0.2, ?, ?)", place)
    number = heavens.round(certified(), heavens.scores | {("des", n): (0.001, 0.999) for n in (90_001, 90_002)})
    assert ask(heavens.workspace, "SELECT object_id, truth FROM calibration WHERE object_id > 90000") == [
        (90_001, "tie")
    ]
    (half,) = ask(heavens.workspace, "SELECT half FROM calibration WHERE object_id = 90001")[0]
    assert half in ("fit", "certify") and number == 1
    assert faults(heavens.workspace) == []


def test_calibration_galaxies_that_come_late_count_once_earlier_models_have_scored_them(half_spent: Sky) -> None:
    """Unfiltered, beside a pool without its easy objects, they would give too small an error bound."""
    before = [(key, p) for key, p in half_spent.scores.items() if key[1] < CALIBRATION + N_CALIBRATION]
    late = {("des", n + 10_000): p for (_, n), p in before}
    with half_spent.workspace.recording("late") as recording:
        add_objects(recording, "des", [n for _, n in late], split="calibration", domain="in")
        add_events(recording, *(label_event("des", n, half_spent.truth["des", n - 10_000]) for _, n in late))
    with half_spent.workspace.reading() as con:
        warning = require_calibration(con, certified(rounds=2), CLASSES)
    assert warning and "1200 calibration galaxies of DES do not count" in warning and "score --round 1" in warning
    number = half_spent.round(certified(rounds=2), half_spent.scores | late)
    counted = ask(half_spent.workspace, "SELECT object_id FROM calibration WHERE round = ?", number)
    assert counted and all(n < CALIBRATION + N_CALIBRATION for (n,) in counted)
    assert faults(half_spent.workspace) == []


def test_objects_trained_on_do_not_certify(heavens: Sky) -> None:
    trained = [("des", CALIBRATION + n, "validation", "spiral") for n in range(100)]
    close_round(heavens.workspace, heavens.scores, trained_on=trained, recipe=certified(), by_policy=True)
    counted = ask(heavens.workspace, "SELECT count(*), min(object_id) FROM calibration")
    assert counted == [(N_CALIBRATION - 100, CALIBRATION + 100)]
    assert faults(heavens.workspace) == []


def test_the_cut_of_one_survey_is_not_that_of_another(heavens: Sky) -> None:
    """Certifying one survey leaves the calibration objects of the other as they are."""
    with heavens.workspace.recording("other") as recording:
        recording.con.execute(
            "INSERT INTO promotion_cuts VALUES (0, 'sdss', 'spiral', 'raw', 0.0, 1.0, NULL, ?)", [recording.run]
        )
    number = heavens.round(certified())
    assert ask(heavens.workspace, "SELECT count(*) FROM calibration WHERE round = ?", number) == [(N_CALIBRATION,)]


def with_features(heavens: Sky, shift: float, sample: int = 400) -> None:
    """Feature shards of round 1 in which the pool stands apart from the calibration objects by so many sigma."""
    rng = np.random.default_rng(5)
    keys = [n for _, n in heavens.scores if n < POOL or n < POOL + sample]
    values = rng.normal(size=(len(keys), 4)).astype(np.float32)
    values[np.array(keys) >= POOL, 0] += shift
    folder = heavens.workspace.round_folder(1) / "scores"
    folder.mkdir(parents=True)
    features = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 4)
    table = pa.table({"survey": ["des"] * len(keys), "object_id": pa.array(keys, pa.int64()), "features": features})
    pq.write_table(table, folder / "features-00000.parquet")


def test_a_pool_that_is_too_different_is_refused_and_costs_no_delta(heavens: Sky) -> None:
    with_features(heavens, shift=3.0)
    heavens.round(certified())
    for row in certificates(heavens.workspace, 1).values():
        assert row["verdict"] == "shifted" and "AUC 0.9" in row["reason"] and row["delta_spent"] == 0
    assert faults(heavens.workspace) == []
    with heavens.workspace.reading() as con:
        require_calibration(con, certified(), CLASSES)  # nothing is spent


def test_a_pool_that_differs_is_certified_by_weighted_objects(heavens: Sky) -> None:
    with_features(heavens, shift=0.5)
    heavens.round(certified(alpha=0.1))
    rows = certificates(heavens.workspace, 1)
    assert {row["verdict"] for row in rows.values()} == {"certified"} and all(row["weighted"] for row in rows.values())
    counted, n = ask(heavens.workspace, "SELECT count(*) FILTER (counted), count(*) FROM calibration")[0]
    assert 50 < counted < 0.8 * n
    assert faults(heavens.workspace) == []


def test_a_pool_like_the_calibration_objects_is_certified_without_weights(heavens: Sky) -> None:
    with_features(heavens, shift=0.0)
    heavens.round(certified())
    assert {row["weighted"] for row in certificates(heavens.workspace, 1).values()} == {False}
    assert faults(heavens.workspace) == []


def test_a_refusal_says_how_many_galaxies_are_missing(heavens: Sky) -> None:
    number = heavens.round(certified(alpha=0.001))
    for name, row in certificates(heavens.workspace, number).items():
        assert row["verdict"] == "refused" and row["threshold"] is None and row["batch"] == 0
        assert f"{zero_error_n(0.001, 0.025)} without error are the least" in row["reason"], name
    assert ask(heavens.workspace, "SELECT count(*) FROM labels WHERE source = 'promoted'") == [(0,)]
    assert faults(heavens.workspace) == []


def test_without_calibration_labels_it_refuses_before_anything_is_trained(workspace_of: Workspace) -> None:
    with workspace_of.reading() as con, pytest.raises(NothingToCertify, match=r"no DES calibration labels.*HP and FO"):
        require_calibration(con, certified(), CLASSES)


def test_delta_is_spent_once(half_spent: Sky) -> None:
    recipe = certified(rounds=2)
    with half_spent.workspace.reading() as con:
        require_calibration(con, recipe, CLASSES)
    half_spent.round(recipe)
    with half_spent.workspace.reading() as con, pytest.raises(NothingToCertify, match="delta is spent"):
        require_calibration(con, recipe, CLASSES)


@pytest.mark.parametrize("quota", ["threshold", "random"])
def test_a_quota_keeps_the_balance_of_the_pool(workspace_of: Workspace, quota: str) -> None:
    """A sky with few spirals: of the ellipticals no larger part is taken than of the spirals."""
    heavens = Sky(workspace_of, spirals=0.25).record()
    number = heavens.round(certified(quota=quota, rounds=2))
    rows = certificates(heavens.workspace, number)
    text = "SELECT predicted_label, count(*) FROM predictions WHERE object_id >= ? GROUP BY 1"
    pool = dict(ask(heavens.workspace, text, POOL))
    parts = {name: row["batch"] / pool[name] for name, row in rows.items()}
    assert 0 < max(parts.values()) < 1.25 * min(parts.values())
    assert all(heavens.wrong(row["certificate"]) <= row["batch_errors"] for row in rows.values())
    assert heavens.round(certified(quota=quota, rounds=2)) == 2
    assert faults(heavens.workspace) == []


# Those of one line are made at once: each has a sentence of its own, which none of the others can bring about.
TAMPERINGS = [
    [("UPDATE certificates SET errors = errors + 1", "errors is recorded"),
     ("UPDATE certificates SET batch = batch - 1", "batch is recorded"),
     ("UPDATE certificates SET batch_bound = batch_bound / 2", "batch_bound is recorded"),
     ("UPDATE certificates SET alpha = 0.001", "alpha is recorded"),
     ("UPDATE certificates SET delta_spent = 0.001", "delta_spent is recorded"),
     ("UPDATE certificates SET truth = 'divine'", "truth is recorded"),
     ("UPDATE certificates SET population = 'everything'", "population is recorded"),
     ("UPDATE certificates SET weighted = true", "weighted is recorded")],
    [("UPDATE certificates SET threshold = threshold - 0.01", "threshold is recorded"),
     ("UPDATE calibrators SET scale = [2.0, 2.0]", "the calibrator of round 1 is recorded as [2.0, 2.0]")],
    [("UPDATE calibration SET half = 'certify'", "in the wrong half"),
     ("DELETE FROM promotion_cuts", "differs from the certificate")],
    [("DELETE FROM calibration WHERE object_id % 7 = 0", "left out the calibration object"),
     ("UPDATE promotion_cuts SET threshold = 0", "differs from the certificate")],
    [("UPDATE calibration SET truth = 'spiral' WHERE object_id = 10005 AND truth <> 'spiral'", "class was another"),
     ("UPDATE labels SET object_id = (SELECT object_id FROM predictions WHERE object_id >= 50000 "
      "ORDER BY calibrated_confidence LIMIT 1) WHERE event = (SELECT max(event) FROM labels)",
      "does not reach its certificate")],
    [("UPDATE splits SET split = 'pool' WHERE object_id = 10010", "10010, which must not count"),
     ("UPDATE posteriors SET calibrated_confidence = 0.99 WHERE object_id < 10100", "what its calibrator gives")],
    [("INSERT INTO training SELECT 1, 'des', 10010, 'validation', 'spiral', 'imported', 1",
      "10010, which must not count"),
     ("UPDATE posteriors SET calibrated_confidence = 0.99 WHERE object_id = 50007", "50007: the calibrated")],
    [("UPDATE calibrators SET scale = NULL", "what its calibrator gives"),
     ("UPDATE certificates SET share = 0.5", "does not reach its certificate")],
    [("UPDATE certificates SET survey = 'sdss'", "does not reach its certificate"),
     ("DELETE FROM calibration USING predictions AS p WHERE p.object_id = calibration.object_id "
      "AND p.predicted_label <> calibration.truth AND half = 'certify'", "left out the calibration object")],
    [("DELETE FROM certificates WHERE class = 'spiral'", "must have one of each class")],
    [("DELETE FROM certificates", "must have one of each class")],
]  # fmt: skip


def test_check_finds_a_certificate_that_does_not_follow_from_the_catalogue(spent: Sky) -> None:
    with connect(spent.workspace.catalog_file, read_only=False) as con:
        for together in TAMPERINGS:
            con.begin()
            for tampering, _ in together:
                con.execute(tampering)
            found = check_certificates(con, read_plan(con, 1))
            con.rollback()
            for tampering, said in together:
                assert any(said in fault for fault in found), f"{tampering}\n{found}"
        assert check_certificates(con, read_plan(con, 1)) == [], "each was undone"
    tampering, said = TAMPERINGS[0][0]
    with spent.workspace.recording("tampering") as recording:
        recording.con.execute(tampering)
    found = faults(spent.workspace)
    assert any(said in fault for fault in found)
    assert [one.faults for one in check(spent.workspace) if one.check == "certificates"] == [tuple(found)]


def test_the_export_carries_the_certificates(spent: Sky, tmp_path: Path) -> None:
    export(spent.workspace, tmp_path / "out.fits")
    with fits.open(tmp_path / "out.fits", checksum=True) as file:
        header, table = file[0].header, file[1].data
        assert {header["CERT1"], header["CERT2"]} == {"r001-elliptical", "r001-spiral"}
        assert (header["CERT1AL"], header["CERT1AU"]) == (0.05, "open")
        ((fitted,),) = ask(spent.workspace, "SELECT n FROM calibrators")
        assert header["CONFCAL"] == f"temperature on {fitted} galaxies"
        assert header["CERT1N"] >= 72 and 0 < header["CERT1BB"] < 0.2 and len(header["CERT1SH"]) == 64
        named = table["certificate"] == "r001-elliptical"
        assert named.sum() == header["CERT1BA"] and set(table["label"][named]) == {"elliptical"}


def test_the_same_catalogue_gives_the_same_certificates(heavens: Sky, tmp_path: Path) -> None:
    other = recorded(tmp_path)
    for one in (heavens, other):
        one.round(certified(quota="random"))
    text = "SELECT * EXCLUDE (run) FROM certificates ORDER BY certificate"
    assert ask(heavens.workspace, text) == ask(other.workspace, text)
    events = "SELECT survey, object_id, label, certificate FROM labels ORDER BY event"
    assert ask(heavens.workspace, events) == ask(other.workspace, events)


# What must never be promoted, by any policy

EVERY: dict[str, tuple[Any, ...]] = {
    "survey": ("des", "sdss"),
    "split": ("pool", "calibration", "train", "none"),
    "domain": ("in", "star", "unresolved", "extrapolated", "artefact"),
    "quality": ("ok", "blank", "saturated", "masked,truncated"),
    "label": (None, *CLASSES),
    "is_test": (False, True),
    "is_excluded": (False, True),
    "p": (0.0, 1e-9, 0.02, 0.5, 0.98, 1.0),
}
OBJECTS = [dict(zip(EVERY, values, strict=True)) for values in product(*EVERY.values())]
# Enough calibration that anything at all can be certified, however little is promised.
OBJECTS += [
    {"survey": "des", "split": "calibration", "domain": "in", "quality": "ok", "label": CLASSES[i % 2],
     "is_test": False, "is_excluded": False, "p": float(i % 2)} for i in range(30)
]  # fmt: skip
POLICIES: dict[str, dict[str, object]] = {
    "top_k": {"policy": "top_k", "per_class": 100, "floor": 0.0},
    "threshold": {"policy": "threshold", "threshold": 0.0, "floor": 0.0},
    "certified": {"policy": "certified", "floor": 0.0},
}


def every_kind_of_object(folder: Path) -> None:
    """A workspace with an object of every combination of `EVERY`; its number is its place in `OBJECTS`."""
    workspace = create_workspace(folder / "ws", CLASSES, 32)
    with workspace.recording("objects") as recording:
        for survey in EVERY["survey"]:
            mine = [n for n, o in enumerate(OBJECTS) if o["survey"] == survey]
            columns = {name: [OBJECTS[n][name] for n in mine] for name in ("split", "domain", "quality")}
            add_objects(recording, survey, mine, **columns)
        add_events(recording, *(label_event(o["survey"], n, o["label"]) for n, o in enumerate(OBJECTS) if o["label"]))
        place = {"round": recording.round, "run": recording.run}
        made = [{"survey": o["survey"], "object_id": n} | o | place for n, o in enumerate(OBJECTS)]
        recording.con.register("made", pa.Table.from_pylist(made))
        recording.con.execute(
            "INSERT INTO test_sets SELECT 'HP', survey, object_id, 'spiral', 1, round, run, NULL "
            "FROM made WHERE is_test"
        )
        recording.con.execute(
            "INSERT INTO exclusions BY NAME SELECT survey, object_id, 'position' AS rule, 'HP' AS test_set, "
            "'sdss' AS test_survey, 1 AS test_object_id, 0.5 AS separation_arcsec, round, run FROM made "
            "WHERE is_excluded"
        )


@pytest.mark.parametrize("policy", POLICIES)
def test_only_clean_pool_objects_are_ever_promoted(
    policy: str, made_once: MadeOnce, copy_of: Callable[[Path], Path]
) -> None:
    workspace = Workspace.open(copy_of(made_once("every-kind-of-object", every_kind_of_object) / "ws"))
    recipe = RECIPE.model_copy(update={
        "promotion": RECIPE.promotion.model_copy(update=POLICIES[policy]),
        "certificate": RECIPE.certificate.model_copy(update={"alpha": 0.9, "delta": 0.9, "rounds": 1}),
    })  # fmt: skip
    scores = {(o["survey"], n): (1 - o["p"], o["p"]) for n, o in enumerate(OBJECTS) if o["quality"] == "ok"}
    close_round(workspace, scores, recipe=recipe, by_policy=True)
    promoted = {n for (n,) in ask(workspace, "SELECT object_id FROM labels WHERE source = 'promoted'")}
    clean = {
        n for n, o in enumerate(OBJECTS)
        if o["split"] == "pool" and o["domain"] == "in" and o["quality"] == "ok" and not o["label"]
        and not o["is_test"] and not o["is_excluded"] and (policy != "certified" or o["survey"] == "des")
    }  # fmt: skip
    assert promoted and promoted <= clean
    if policy != "certified":
        assert promoted == clean, "all of them, since nothing was asked of the confidence"
    findings = {finding.check: finding.faults for finding in check(workspace)}
    assert findings["test_sets_unpromoted"] == () and findings["certificates"] == ()
