"""Shift meters on samples of known difference, and the galaxies of a round that they compare."""

import json
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from support.new_workspace import create_workspace
from support.workspaces import RECIPE, add_events, add_objects, ask, cli, close_round, failed, label_event

from catbuilder.catalogue.features import features_of
from catbuilder.catalogue.round_records import read_plan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.decisions.sample_shift import (
    MIN_SAMPLE,
    density_weights,
    frechet_distance,
    prior_drift,
    rejection_sample,
    two_sample_auc,
)
from catbuilder.decisions.shift_meters import measure_shift, record_shifts
from catbuilder.sets.manifest import write_score_manifest

DEEP = 512  # features of a network


def deep(n, seed, moved=0.0, stretched=1.0):
    """Features of n galaxies: 512 mixtures of 40 things one could know of them, of which the first shifts."""
    rng = np.random.default_rng(seed)
    known = rng.normal(size=(n, 40))
    known[:, 0] = known[:, 0] * stretched + moved
    mixture = np.random.default_rng(99).normal(size=(40, DEEP))
    return np.maximum(known @ mixture + rng.normal(size=(n, DEEP)) * 3, 0).astype(np.float32)


def normal(n, seed, mean=0.0, sigma=1.0, d=2):
    return np.random.default_rng(seed).normal(mean, sigma, (n, d))


# --- AUC of a classifier


def test_samples_of_one_survey_give_an_auc_near_a_half_and_shifted_ones_a_higher_one():
    alike = two_sample_auc(deep(400, 1), deep(400, 2), seed=0)
    assert alike.low < 0.5 < alike.high and abs(alike.value - 0.5) < 0.05
    moved = two_sample_auc(deep(400, 1), deep(400, 3, moved=1.5), seed=0)
    assert moved.low > 0.6


def test_a_sample_that_is_only_wider_is_distinguished_too():
    wider = two_sample_auc(normal(500, 1, d=4), normal(500, 2, sigma=1.8, d=4), seed=0)
    assert wider.low > 0.7


def test_the_area_of_two_normals_is_what_theory_says():
    # one feature, means apart by 1 sigma: Phi(1 / sqrt 2)
    found = two_sample_auc(normal(3000, 1, d=1), normal(3000, 2, mean=1.0, d=1), seed=0)
    assert found.low < 0.7602 < found.high
    assert found.high - found.low < 0.03


def test_small_samples_of_many_features_are_not_overfitted():
    values = [two_sample_auc(deep(MIN_SAMPLE, i), deep(60, 1000 + i), seed=i) for i in range(12)]
    assert abs(np.mean([v.value for v in values]) - 0.5) < 0.08
    assert sum(v.low <= 0.5 <= v.high for v in values) >= 9


def test_perfect_separation_still_has_an_interval_of_some_width():
    apart = two_sample_auc(normal(30, 1), normal(30, 2, mean=50.0), seed=0)
    assert apart.value == apart.high == 1.0 and 0.8 < apart.low < 1.0


def test_the_same_samples_and_seed_give_the_same_area_and_other_folds_nearly_the_same():
    a, b = deep(200, 1), deep(200, 2, moved=1.0)
    assert two_sample_auc(a, b, seed=3) == two_sample_auc(a, b, seed=3)
    assert abs(two_sample_auc(a, b, seed=3).value - two_sample_auc(a, b, seed=4).value) < 0.05


def test_constant_features_can_be_compared():
    a, b = normal(60, 1, d=30), normal(40, 2, d=30)
    a[:, 1:], b[:, 1:] = 7.0, 7.0  # dead units of a network
    found = two_sample_auc(a, b, seed=0)
    assert found.low < 0.5 < found.high
    assert np.isfinite(frechet_distance(a, b).distance)
    assert np.isfinite(density_weights(a, b, a)).all()


# --- Fréchet distance


def test_frechet_is_the_distance_of_two_gaussians():
    # one feature: (difference of means)^2 + (difference of sigmas)^2, in units of the sigma of both together
    a, b = normal(20_000, 1, d=1), normal(20_000, 2, mean=2.0, sigma=3.0, d=1)
    unit = np.concatenate([a, b]).std()
    assert frechet_distance(a, b).distance == pytest.approx(np.sqrt(2.0**2 + 2.0**2) / unit, rel=0.03)


def test_frechet_agrees_with_the_root_of_the_product_of_covariances():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(400, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 1
    both = np.vstack([a, b])
    x, y = ((sample - both.mean(0)) / both.std(0) for sample in (a, b))
    c_x, c_y = np.cov(x.T), np.cov(y.T)
    by_hand = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c_x + c_y - 2 * sqrtm(c_x @ c_y).real)
    assert frechet_distance(a, b).distance == pytest.approx(np.sqrt(by_hand), rel=1e-6)


def test_its_noise_is_what_like_samples_of_the_same_sizes_have():
    alike = frechet_distance(deep(150, 1), deep(600, 2))
    assert alike.noise.low < alike.noise.value < alike.noise.high
    assert alike.distance == pytest.approx(alike.noise.value, rel=0.15)
    moved = frechet_distance(deep(150, 1), deep(600, 2, moved=2.0))
    assert moved.distance > moved.noise.high


# --- prior drift


def test_prior_drift_is_newcombes_example():
    # Newcombe 1998, table II, 56/70 against 48/80: 0.2000, (0.0524, 0.3339)
    a, b = ["spiral"] * 48 + ["elliptical"] * 32, ["spiral"] * 56 + ["elliptical"] * 14
    drift = prior_drift(a, b, ("elliptical", "spiral"))
    assert drift["spiral"].value == pytest.approx(0.2)
    assert (drift["spiral"].low, drift["spiral"].high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert drift["elliptical"].low == pytest.approx(-drift["spiral"].high)


def test_a_class_that_neither_sample_has_does_not_drift():
    drift = prior_drift(["spiral"] * 30, ["spiral"] * 20, ("spiral", "ring"))["ring"]
    assert drift.value == 0 and drift.low < 0 < drift.high


# --- density weights and rejection sampling


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), mean=st.floats(-0.8, 0.8), sigma=st.floats(0.6, 1.0))
def test_accepted_objects_are_distributed_like_the_pool(seed, mean, sigma):
    rng = np.random.default_rng(seed)
    fit, pool, judged = (rng.normal(size=(4000, 1)) for _ in range(3))
    kept = judged[rejection_sample(density_weights(fit, pool * sigma + mean, judged), rng.random(len(judged))), 0]
    noise = 5 * sigma / np.sqrt(len(kept)) + 0.05  # of the mean, and of the weights
    assert len(kept) > 50
    assert abs(kept.mean() - mean) < noise
    assert abs(kept.std() - sigma) < noise


def test_the_mean_of_the_accepted_is_the_pools():
    rng = np.random.default_rng(1)
    fit, pool, judged = rng.normal(size=(5000, 1)), rng.normal(0.5, 1, (5000, 1)), rng.normal(size=(20_000, 1))
    kept = judged[rejection_sample(density_weights(fit, pool, judged), rng.random(20_000)), 0]
    assert kept.mean() == pytest.approx(0.5, abs=0.1) and kept.std() == pytest.approx(1.0, abs=0.07)


@pytest.mark.parametrize("d", [1, 2, 8, 20])
def test_weights_are_positive_and_1_on_average_over_what_they_were_learnt_from(d):
    fit, pool = normal(200, 1, d=d), normal(300, 2, mean=0.3, d=d)
    weights = density_weights(fit, pool, fit)
    assert weights.shape == (200,) and (weights > 0).all()
    assert weights.mean() == pytest.approx(1.0)


def test_weights_of_like_samples_are_nearly_1():
    weights = density_weights(deep(150, 1), deep(600, 2), deep(300, 3))
    assert weights.min() > 0.5 and weights.max() < 2.0


def test_weights_of_many_features_follow_the_shift():
    judged = np.random.default_rng(3).normal(size=(1, DEEP))
    near, far = deep(200, 4, moved=2.0), deep(200, 5, moved=-2.0)
    weights = density_weights(deep(500, 1), deep(800, 2, moved=1.0), np.vstack([near, far, judged]))
    assert np.median(weights[:200]) > 3 * np.median(weights[200:400])


def test_a_point_far_beyond_both_samples_has_a_finite_weight():
    weights = density_weights(normal(200, 1), normal(200, 2, mean=1.0), np.array([[0.0, 0.0], [30.0, 30.0]]))
    assert np.isfinite(weights).all()


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30))
def test_the_heaviest_object_always_stays_and_a_draw_of_nothing_keeps_all(weights):
    w = np.array(weights)
    assert rejection_sample(w, np.full(len(w), np.nextafter(1, 0)))[w.argmax()]
    assert rejection_sample(w, np.zeros(len(w))).all()
    assert rejection_sample(w, np.full(len(w), 0.5)).tolist() == (0.5 * w.max() <= w).tolist()


def test_no_objects_give_no_accepted_ones():
    assert rejection_sample(np.empty(0), np.empty(0)).shape == (0,)


def test_weights_of_few_features_are_quick():
    fit, pool = normal(5000, 1), normal(5000, 2, mean=0.5)
    density_weights(fit, pool, fit)
    times = []
    for _ in range(5):
        started = time.process_time()
        density_weights(fit, pool, fit)
        times.append(time.process_time() - started)
    assert min(times) < 0.1  # 10 ms on a free core; a study calls it thousands of times


# --- which galaxies have features


SMALL = RECIPE.model_copy(
    update={"scoring": RECIPE.scoring.model_copy(update={"pool_features": 5, "labelled_features": 4})}
)


@pytest.fixture
def workspace(tmp_path):
    """10 labelled and 3 unlabelled SDSS galaxies to train on, 30 DES for calibration, a pool of both surveys, HP."""
    made = create_workspace(tmp_path / "ws")
    with made.recording("objects") as recording:
        add_objects(recording, "sdss", range(1, 14), split="train")
        add_objects(recording, "sdss", range(101, 161))
        add_objects(recording, "des", range(1, 31), split="calibration")
        add_objects(recording, "des", range(101, 141), domain=["in"] * 30 + ["star"] * 10)
        add_objects(recording, "des", range(201, 204), split="none")
        recording.con.execute(
            "INSERT INTO test_sets SELECT 'HP', 'des', unnest([201, 202]), 'spiral', 0.9, ?, ?, NULL",
            [recording.round, recording.run],
        )
        add_events(recording, *(label_event("sdss", n, "spiral") for n in range(1, 11)))
        add_events(recording, *(label_event("des", n, "spiral", "galaxy_zoo") for n in range(1, 31)))
    return made


def kept(workspace, recipe=SMALL):
    file = workspace.path / "manifest.parquet"
    with workspace.reading() as con:
        assert write_score_manifest(con, recipe, file) == pq.read_metadata(file).num_rows
    rows = pq.read_table(file).to_pylist()
    return {(row["survey"], row["object_id"]) for row in rows if row["keep_features"]}


def test_a_manifest_of_a_large_survey_is_written_range_by_range_to_the_same_rows(workspace, monkeypatch):
    file = workspace.path / "manifest.parquet"
    with workspace.reading() as con:
        write_score_manifest(con, SMALL, file)
        whole = pq.read_table(file)
        monkeypatch.setattr("catbuilder.catalogue.id_ranges.RANGE_OBJECTS", 7)
        monkeypatch.setattr("catbuilder.sets.manifest.RANGE_OBJECTS", 7)
        monkeypatch.setattr("catbuilder.sets.manifest.ROW_GROUP", 10)
        write_score_manifest(con, SMALL, file)
        assert pq.read_table(file).equals(whole)
        groups = pq.ParquetFile(file).metadata
        assert [groups.row_group(k).num_rows for k in range(groups.num_row_groups - 1)] == [10] * (
            groups.num_row_groups - 1
        )
        first = file.read_bytes()
        write_score_manifest(con, SMALL, file)
        assert file.read_bytes() == first
        # the features of a share of the pool: a part of it, and of all that is no pool
        monkeypatch.setattr("catbuilder.sets.manifest._CONSIDERED", 16)
        write_score_manifest(con, SMALL, file)
    shared, before = (
        {(one["survey"], one["object_id"]) for one in table.to_pylist() if one["keep_features"]}
        for table in (pq.read_table(file), whole)
    )
    pool = {("des", n) for n in range(101, 141)}
    assert shared - pool == before - pool and shared & pool


def test_features_are_kept_of_tests_calibration_and_a_sample_of_the_pool_and_of_what_trains(workspace):
    found = kept(workspace)
    assert {("des", n) for n in (201, 202, *range(1, 31))} <= found and ("des", 203) not in found
    assert len([n for survey, n in found if survey == "sdss" and n <= 10]) == 4
    assert not found & {("sdss", n) for n in (11, 12, 13)}  # nobody labelled them


def test_the_pools_sample_is_of_the_target_survey_and_its_population_first(workspace):
    pool = {key for key in kept(workspace) if 100 < key[1] < 200}
    assert len(pool) == 5 and pool < {("des", n) for n in range(101, 131)}
    scoring = SMALL.scoring.model_copy(update={"pool_features": 45})
    more = {key for key in kept(workspace, SMALL.model_copy(update={"scoring": scoring})) if 100 < key[1] < 200}
    assert len(more) == 45 and {("des", n) for n in range(101, 131)} < more


def test_the_samples_stay_when_labels_are_promoted(workspace):
    before = kept(workspace)
    with workspace.recording("labels") as recording:
        add_events(recording, *(label_event(survey, n, "spiral", "imported") for survey, n in before if 100 < n < 200))
    assert kept(workspace) == before


# --- a round's meters


def write_features(workspace, number, features, shards=1):
    """Feature shards as the workers write them, from {(survey, object_id): vector}."""
    keys = list(features)
    for i in range(shards):
        part = keys[i::shards]
        matrix = np.array([features[key] for key in part], np.float32)
        table = pa.table({
            "survey": pa.array([survey for survey, _ in part]), "object_id": pa.array([n for _, n in part], pa.int64()),
            "features": pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1]),
        })  # fmt: skip
        pq.write_table(table, workspace.round_folder(number) / "scores" / f"features-{i:05d}.parquet")


CALIBRATION = [("des", n) for n in range(1, 31)]
POOL = [("des", n) for n in range(101, 131)]
STARS = [("des", n) for n in range(131, 141)]


def scored_round(workspace, p_spiral=lambda n: 0.6, moved=0.0, events=(), unlabelled=()):
    """A closed round in which the pool's features are moved against the calibration galaxies'."""
    everything = [*CALIBRATION, *unlabelled, *POOL, *STARS, *(("sdss", n) for n in range(1, 14))]
    number = close_round(workspace, {key: (1 - p_spiral(key[1]), p_spiral(key[1])) for key in everything}, events)
    rng = np.random.default_rng(8)
    vectors = {key: rng.normal(moved if key[1] > 100 else 0.0, 1, 4) for key in everything}
    write_features(workspace, number, vectors, shards=2)
    return number


def measure(workspace, number):
    with workspace.reading() as con:
        return measure_shift(con, workspace, read_plan(con, number))


def pick(shifts, meter, a="calibration", b="pool", name=None):
    (row,) = [
        row
        for row in shifts.rows.to_pylist()
        if (row["sample_a"], row["sample_b"], row["meter"], row["class"]) == (a, b, meter, name)
    ]
    return row


def test_calibration_and_pool_are_compared_and_a_sample_that_is_too_small_is_named(workspace):
    shifts = measure(workspace, scored_round(workspace, lambda n: 0.6 if n > 100 or n % 3 == 0 else 0.4, moved=2.0))
    auc = pick(shifts, "auc")
    assert (auc["n_a"], auc["n_b"]) == (30, 30)  # stars are not of the population
    assert auc["low"] > 0.7
    assert pick(shifts, "frechet")["value"] > pick(shifts, "frechet_noise")["high"]
    assert pick(shifts, "prior", name="spiral")["value"] == pytest.approx(1 - 10 / 30)
    assert {row["sample_a"] for row in shifts.rows.to_pylist()} == {"calibration"}
    (sentence,) = shifts.messages
    assert "labelled" in sentence and "10 of its galaxies" in sentence and str(MIN_SAMPLE) in sentence


def test_objects_that_an_earlier_round_promoted_or_would_have_promoted_are_not_compared(workspace):
    sure = {*range(1, 8), *range(101, 106)}
    first = scored_round(
        workspace, lambda n: 0.95 if n in sure else 0.6,
        events=[label_event("des", n, "spiral", "promoted", confidence=0.95) for n in range(101, 106)],
    )  # fmt: skip
    with workspace.recording("cut") as recording:
        recording.con.execute(
            "INSERT INTO promotion_cuts VALUES (?, NULL, 'spiral', 'raw', 0.9, 1.0, NULL, ?)", [first, recording.run]
        )
    auc = pick(measure(workspace, scored_round(workspace)), "auc")
    assert (auc["n_a"], auc["n_b"]) == (23, 25)


def test_calibration_galaxies_that_count_for_nothing_are_not_compared(workspace):
    with workspace.recording("more") as recording:
        add_objects(recording, "des", [31, 32], split="calibration")
        recording.con.execute(
            "INSERT INTO exclusions (survey, object_id, rule, round, run) VALUES ('des', 1, 'position', ?, ?)",
            [recording.round, recording.run],
        )
    number = scored_round(workspace, unlabelled=[("des", 31), ("des", 32)])
    assert pick(measure(workspace, number), "auc")["n_a"] == 29


def test_a_round_without_features_has_no_meters_and_says_so(workspace):
    number = close_round(workspace, {key: (0.4, 0.6) for key in CALIBRATION + POOL})
    shifts = measure(workspace, number)
    assert shifts.rows.num_rows == 0 and len(shifts.messages) == 3
    with workspace.recording("shifts") as recording:
        record_shifts(recording, shifts)
    done = cli("shifts", "-w", workspace.path)
    assert done.code == 0 and done.out == "" and "No shift is measured" in done.err
    assert json.loads(cli("shifts", "-w", workspace.path, "--format", "json").out) == []


def test_features_come_in_the_order_asked_for_with_what_was_not_kept_left_out(workspace):
    number = scored_round(workspace)
    vectors = {("des", n): [n, n + 0.5] for n in range(1, 20)} | {("sdss", 5): [-5, -5.5]}
    write_features(workspace, number, vectors, shards=2)
    asked = [("sdss", 5), ("des", 9), ("des", 999), ("des", 4), ("sdss", 9)]
    table = pa.table({"survey": [s for s, _ in asked], "object_id": pa.array([n for _, n in asked], pa.int64())})
    features, known = features_of(workspace, number, table)
    assert known.tolist() == [True, True, False, True, False]
    assert features.tolist() == [[-5, -5.5], [9, 9.5], [4, 4.5]]
    nothing, none = features_of(workspace, number + 1, table)
    assert nothing.shape == (0, 0) and not none.any()


def test_recorded_meters_are_printed_in_order_and_an_unknown_round_is_refused(workspace):
    number = scored_round(workspace)
    shifts = measure(workspace, number)
    with workspace.recording("shifts") as recording:
        record_shifts(recording, shifts)
    rows = json.loads(cli("shifts", "-w", workspace.path, "--round", number, "--format", "json").out)
    assert [row["meter"] for row in rows] == ["auc", "frechet", "frechet_noise", "prior", "prior"]
    assert rows[0]["value"] == pick(shifts, "auc")["value"]
    assert "calibration" in cli("shifts", "-w", workspace.path).out
    failed(cli("shifts", "-w", workspace.path, "--round", 7), "no round 7")


def test_a_real_round_measures_its_shift(first_round):
    workspace = Workspace.open(first_round)
    found = ask(workspace, "SELECT sample_a, sample_b, meter, class, value, low, high, n_a, n_b FROM shifts")
    meters = {(a, b, meter, name): row for a, b, meter, name, *row in found}
    value, low, high, n_a, n_b = meters["labelled", "pool", "auc", None]
    assert 0 <= low <= value <= high <= 1 and (n_a, n_b) == (100, 112)
    assert {(a, b) for a, b, _, _ in meters} == {("labelled", "pool")}  # 12 calibration galaxies are too few
    drift = [row[0] for (_, _, meter, _), row in meters.items() if meter == "prior"]
    assert len(drift) == 2 and sum(drift) == pytest.approx(0)
