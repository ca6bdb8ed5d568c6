"""Certification of one class: thresholds, refusals, and the rate of wrong certificates."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from catbuilder.decisions.error_bounds import batch_bound, passes_binomial_test, zero_error_n
from catbuilder.decisions.threshold_test import CalibrationSample, certify_class, choose_grid, count_passed

ALPHA, DELTA, STEPS = 0.05, 0.025, 12


def half(n, seed, errors=lambda confidence: (1 - confidence) / 2):
    """Objects whose chance of being wrong falls with their confidence."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1, n).astype(np.float32)
    return CalibrationSample(confidence, rng.random(n) < errors(confidence))


def certify(fit, certifying, alpha=ALPHA, delta=DELTA):
    return certify_class(fit, certifying, len(certifying) / max(len(fit), 1), alpha, delta, STEPS)


def test_a_good_class_is_certified_at_a_threshold_of_the_grid():
    certifying = half(4000, 2)
    found = certify(half(4000, 1), certifying)
    assert found.threshold == found.grid[found.accepted - 1]
    above = certifying.confidence >= np.float32(found.threshold)
    assert (found.n, found.errors) == (above.sum(), certifying.wrong[above].sum())
    assert passes_binomial_test(found.errors, found.n, ALPHA, DELTA)
    assert found.population_bound <= ALPHA
    assert (found.reason, found.needed) == (None, None)


def test_a_network_that_is_never_wrong_is_certified_down_to_its_least_sure_object():
    fit, certifying = (half(500, seed, errors=np.zeros_like) for seed in (1, 2))
    found = certify(fit, certifying)
    assert (found.threshold, found.errors) == (float(fit.confidence.min()), 0)


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(0, 40), st.integers(0, 5))
def test_the_grid_runs_from_strict_to_loose_through_confidences_of_the_fitting_half(n, seed, decimals):
    fit = half(n, seed)
    fit = CalibrationSample(np.round(fit.confidence, decimals), fit.wrong)
    grid = choose_grid(fit, 1.0, ALPHA, DELTA, STEPS)
    assert 1 <= len(grid) <= STEPS
    assert all(strict > loose for strict, loose in pairwise(grid))
    assert set(np.float32(grid)) <= set(fit.confidence)


def test_the_grid_depends_on_the_fitting_half_alone():
    fit = half(2000, 1)
    grids = [certify(fit, half(2000, 2, errors)).grid for errors in (np.zeros_like, np.ones_like)]
    assert grids[0] == grids[1]


def test_the_order_of_the_objects_does_not_matter():
    fit, certifying = half(1500, 1), half(1500, 2)
    mixed = np.random.default_rng(0).permutation(1500)
    shuffled = [CalibrationSample(h.confidence[mixed], h.wrong[mixed]) for h in (fit, certifying)]
    assert certify(fit, certifying) == certify(*shuffled)


def test_the_sequence_stops_at_the_first_failure_though_a_looser_threshold_would_pass():
    confidence = np.repeat(np.float32([0.9, 0.8, 0.7]), [400, 30, 5000])
    wrong = confidence == np.float32(0.8)
    certifying = CalibrationSample(confidence, wrong)
    assert passes_binomial_test(30, 5430, ALPHA, DELTA) and not passes_binomial_test(30, 430, ALPHA, DELTA)
    assert count_passed(certifying, (0.9, 0.8, 0.7), ALPHA, DELTA) == 1
    assert count_passed(certifying, (0.9,), ALPHA, DELTA) == 1
    assert count_passed(certifying, (0.8, 0.7), ALPHA, DELTA) == 0


def test_too_few_are_refused_with_the_numbers_present_and_needed():
    found = certify_class(half(100, 1, np.zeros_like), half(100, 2, np.zeros_like), 1.0, 0.01, 0.025, STEPS)
    assert found.threshold is None and found.accepted == 0
    assert found.needed == zero_error_n(0.01, 0.025) - 100 == 268
    assert "100 certifying" in found.reason and "368" in found.reason


@pytest.mark.parametrize(("fit", "certifying"), [(0, 0), (0, 500), (500, 0)])
def test_an_empty_half_is_refused(fit, certifying):
    found = certify(half(fit, 1, np.zeros_like), half(certifying, 2, np.zeros_like))
    assert found.threshold is None
    assert found.reason


def test_a_class_that_is_always_wrong_is_refused_whatever_the_number_of_labels():
    found = certify(half(2000, 1, np.ones_like), half(2000, 2, np.ones_like))
    assert (found.threshold, found.needed, found.population_bound) == (None, None, 1.0)
    assert "no number of labels" in found.reason


def test_one_error_too_many_is_refused_with_the_number_of_labels_that_suffices():
    fit, certifying = half(300, 1, lambda c: c * 0), half(300, 2, lambda c: c * 0)
    wrong = np.arange(300) < 9
    found = certify(fit, CalibrationSample(certifying.confidence, wrong))
    assert found.threshold is None
    assert f"{found.errors} of {found.n} certifying galaxies are wrong" in found.reason
    rate = (found.errors + 0.5) / (found.n + 1)
    assert rate < ALPHA
    n = found.n + found.needed
    assert passes_binomial_test(np.ceil(rate * n), n, ALPHA, DELTA)


def test_a_stricter_certificate_counts_at_its_own_threshold():
    fit, certifying = half(4000, 1), half(4000, 2)
    found = certify(fit, certifying)
    strictest = found.stricter(certifying, 0)
    above = certifying.confidence >= np.float32(found.grid[0])
    assert (strictest.threshold, strictest.n) == (found.grid[0], above.sum())
    assert strictest.errors == certifying.wrong[above].sum()


def test_the_batch_shares_delta_among_the_thresholds_that_might_have_been_taken():
    found = certify(half(4000, 1), half(4000, 2))
    assert len(found.grid) > 1
    assert found.batch_errors(5000) == batch_bound(found.errors, found.n, 5000, DELTA / len(found.grid))


def test_if_the_error_rate_is_alpha_at_every_threshold_at_most_delta_of_the_cases_are_certified():
    runs = 2000
    rng = np.random.default_rng(7)
    certified = 0
    for run in range(runs):
        confidence = rng.uniform(0.5, 1, (2, 500)).astype(np.float32)
        fit = CalibrationSample(confidence[0], rng.random(500) < (run % 2) * ALPHA)  # the grid may hope, or not
        found = certify(fit, CalibrationSample(confidence[1], rng.random(500) < ALPHA))
        certified += found.threshold is not None
    assert 0 < certified <= binom.ppf(0.999, runs, DELTA)
