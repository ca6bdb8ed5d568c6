"""Calibrators recover known temperatures, keep the ranking, and are measured as worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from catbuilder.decisions.calibrator import (
    TIE,
    brier_score,
    expected_calibration_error,
    fit_calibrator,
    reliability,
    resampled_calibration_errors,
)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def scored(n, classes=2, seed=0, spread=2.0):
    """Calibrated logits, and truths drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n, classes))
    truth = (softmax(logits).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, truth


@pytest.mark.parametrize("classes", [2, 3])
def test_calibrated_scores_hardly_change(classes):
    logits, truth = scored(20_000, classes)
    assert fit_calibrator(softmax(logits), truth).scale == pytest.approx((1.0,) * classes, abs=0.05)


@pytest.mark.parametrize("sharpness", [0.25, 1.5, 4.0])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_temperature_of_scaled_logits_is_recovered(sharpness, classes):
    logits, truth = scored(3000, classes, spread=1.0)
    plain, sharp = (fit_calibrator(softmax(k * logits), truth) for k in (1.0, sharpness))
    assert sharp.scale[0] * sharpness == pytest.approx(plain.scale[0], rel=1e-6)
    np.testing.assert_allclose(sharp(softmax(sharpness * logits)), plain(softmax(logits)), atol=1e-6)


def test_calibrated_confidences_are_right_as_often_as_they_say():
    logits, truth = scored(20_000)
    overconfident = softmax(4 * logits)
    calibrated = fit_calibrator(overconfident[:10_000], truth[:10_000])(overconfident[10_000:])
    before, after = (
        expected_calibration_error(p.max(axis=1), p.argmax(axis=1) == truth[10_000:])
        for p in (overconfident[10_000:], calibrated)
    )
    assert after < 0.015 < 0.05 < before


@settings(deadline=None)
@given(st_numpy.arrays(float, (30, 2), elements=st.floats(-12, 12)), st.floats(0.2, 8))
def test_a_temperature_keeps_the_order_of_confidences_of_two_classes(logits, sharpness):
    _, truth = scored(30)
    posterior = softmax(sharpness * logits)
    calibrated = fit_calibrator(posterior, truth)(posterior)
    order = np.argsort(np.log(posterior[:, 1]) - np.log(posterior[:, 0]))  # a posterior alone rounds to 1
    assert np.all(np.diff(calibrated[order, 1]) >= -1e-12)


@settings(deadline=None)
@given(st_numpy.arrays(float, (30, 3), elements=st.floats(-8, 8)))
def test_a_temperature_keeps_the_surest_class_of_three(logits):
    _, truth = scored(30, 3)
    posterior = softmax(logits)
    calibrated = fit_calibrator(posterior, truth)(posterior)
    surest = calibrated[np.arange(30), posterior.argmax(axis=1)]
    assert np.all(surest >= calibrated.max(axis=1) - 1e-12)


def test_ties_lower_the_confidence_and_ties_alone_leave_none():
    logits, truth = scored(2000)
    posterior = softmax(logits)
    without = fit_calibrator(posterior, truth).scale[0]
    some = np.where(np.arange(2000) % 5 == 0, TIE, truth)
    assert fit_calibrator(posterior, some).scale[0] < without
    only = fit_calibrator(posterior, np.full(2000, TIE))
    assert only.scale[0] == pytest.approx(0.01)
    assert only(posterior).max() < 0.53


@pytest.mark.parametrize("method", ["temperature", "shift", "vector"])
@pytest.mark.parametrize("n", [1, 5, 500])
def test_halves_without_an_error_give_finite_calibrators_that_still_rank(method, n):
    logits, _ = scored(n)
    posterior = softmax(logits)
    calibrator = fit_calibrator(posterior, posterior.argmax(axis=1), method)
    assert np.all(np.isfinite([*calibrator.scale, *calibrator.shift]))
    calibrated = calibrator(posterior)
    assert np.all(np.isfinite(calibrated))
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    recorded = np.sort(calibrated.max(axis=1).astype(np.float32))
    assert len(np.unique(recorded[: n // 4])) == n // 4  # the surest of many may round to 1


@pytest.mark.parametrize("method", ["temperature", "shift", "vector"])
def test_one_class_only_and_certain_posteriors_can_be_fitted(method):
    certain = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    calibrator = fit_calibrator(certain, np.zeros(3, int), method)
    assert np.all(np.isfinite(calibrator(certain)))


def test_a_shift_takes_out_a_leaning_to_one_class_and_can_be_undone():
    logits, truth = scored(20_000)
    honest = softmax(logits)
    leaning = softmax((np.log(honest) + np.array([1.5, 0.0])) * 2.0)
    fitted = fit_calibrator(leaning, truth, "shift")
    assert fitted.scale == pytest.approx((0.5, 0.5), rel=0.05) and sum(fitted.shift) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(fitted(leaning), honest, atol=0.02)
    np.testing.assert_allclose(fitted.inverse(fitted(leaning).astype(np.float32)), leaning, atol=1e-6)
    with pytest.raises(ValueError, match="scale of its own"):
        fit_calibrator(leaning, truth, "vector").inverse(leaning)


def test_few_objects_move_a_shift_less_than_many():
    logits, truth = scored(20_000)
    leaning = softmax(np.log(softmax(logits)) + np.array([1.5, 0.0]))
    many, few = (fit_calibrator(leaning[:n], truth[:n], "shift").shift[1] for n in (20_000, 60))
    assert many == pytest.approx(0.75, abs=0.05)
    assert 0.2 < few < 0.6


def test_vector_scaling_recovers_a_scale_and_a_shift_for_each_class():
    logits, truth = scored(40_000, 3, spread=1.5)
    logs = np.log(softmax(logits))
    wrong = softmax((logs - np.array([0.5, 0.0, -0.5])) / 0.7)
    fitted = fit_calibrator(wrong, truth, "vector")
    assert sum(fitted.shift) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(fitted(wrong), softmax(logits), atol=0.05)
    cross_entropy = {
        method: -np.log(fit_calibrator(wrong, truth, method)(wrong)[np.arange(len(truth)), truth]).mean()
        for method in ("temperature", "vector")
    }
    assert cross_entropy["vector"] < cross_entropy["temperature"]


#             surest half: 2 of 2 right; the other: 1 of 2
CONFIDENCE = np.array([0.9, 0.6, 0.95, 0.7])
RIGHT = np.array([True, False, True, True])


def test_reliability_and_its_error_by_hand():
    low, high = reliability(CONFIDENCE, RIGHT, bins=2)
    assert (low.low, low.high, low.n, low.right) == (0.6, 0.7, 2, 1)
    assert (high.low, high.high, high.n, high.right) == (0.9, 0.95, 2, 2)
    # |1 / 2 - 0.65| and |2 / 2 - 0.925|, each of half of the objects
    assert expected_calibration_error(CONFIDENCE, RIGHT, bins=2) == pytest.approx((0.15 + 0.075) / 2)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 15))
def test_the_bins_hold_every_object_once_and_differ_by_one_at_most(n, bins):
    rng = np.random.default_rng(n)
    confidence, right = rng.random(n), rng.random(n) < 0.7
    found = reliability(confidence, right, bins)
    numbers = [part.n for part in found]
    assert sum(numbers) == n and max(numbers) - min(numbers) <= 1
    assert sum(part.right for part in found) == right.sum()


def test_the_curve_is_scikit_learns_with_quantile_bins():
    rng = np.random.default_rng(5)
    confidence = rng.random(1000)
    right = rng.random(1000) < confidence
    accuracy, _ = calibration_curve(right, confidence, n_bins=10, strategy="quantile")
    assert [part.right / part.n for part in reliability(confidence, right)] == pytest.approx(list(accuracy), abs=0.011)


def test_no_objects_give_no_bin_and_no_error():
    assert reliability([], []) == []
    assert expected_calibration_error([], []) == 0


def test_the_brier_score_by_hand_and_as_scikit_learn_has_it():
    posterior = np.array([[0.8, 0.2], [0.4, 0.6]])
    assert brier_score(posterior, np.array([0, TIE])) == pytest.approx([0.08, 0.52])
    logits, truth = scored(300)
    p = softmax(logits)
    # scikit-learn counts one of the two classes
    assert brier_score(p, truth).mean() / 2 == pytest.approx(brier_score_loss(truth, p[:, 1]))


@pytest.mark.parametrize("n", [1, 7, 10, 600])
def test_the_error_of_each_sample_is_that_of_its_objects_alone(n):
    rng = np.random.default_rng(n)
    confidence = rng.random(n).round(2)  # with ties, whose order decides in which bin they are
    right = (rng.random(n) < confidence).astype(float)
    samples = rng.integers(0, n, (20, n))
    alone = [sum(abs(b.right - confidence[s][np.argsort(confidence[s], kind="stable")][at].sum()) for b, at in zip(
        reliability(confidence[s], right[s]), places(n), strict=True)) / n for s in samples]  # fmt: skip
    np.testing.assert_allclose(resampled_calibration_errors(confidence, right, samples), alone, rtol=1e-12)


def places(n):
    """Places of the objects of each of ten bins, in the order of their confidence."""
    return [part for part in np.array_split(np.arange(n), 10) if len(part)]
