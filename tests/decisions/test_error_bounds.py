"""Error bounds against scipy's distributions, exhaustive counts and simulation."""

from math import comb, nextafter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, binom

from catbuilder.decisions.error_bounds import (
    batch_bound,
    max_errors,
    passes_binomial_test,
    population_bound,
    zero_error_n,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
alphas = st.floats(0.001, 0.5)
deltas = st.floats(1e-5, 0.5)
sizes = st.integers(0, 5000)


@st.composite
def counted(draw, largest=3000):
    n = draw(st.integers(1, largest))
    return draw(st.integers(0, n)), n


def test_one_per_cent_of_two_classes_at_95_per_cent_takes_368_objects_without_error():
    assert zero_error_n(0.01, 0.05 / 2) == 368


@settings(deadline=None)
@given(alphas, deltas)
@example(nextafter(0.5, 0), 0.5)  # the power is rounded above one half here, the test's tail is not
def test_zero_error_n_is_the_fewest(alpha, delta):
    n = zero_error_n(alpha, delta)
    rounding = 1 + 1e-12  # 1 - alpha is rounded, here
    assert (1 - alpha) ** n / rounding <= delta <= (1 - alpha) ** (n - 1) * rounding
    assert passes_binomial_test(0, n, alpha, delta) and not passes_binomial_test(0, n - 1, alpha, delta)


@settings(deadline=None)
@given(counted(), alphas, deltas)
def test_the_binomial_test_is_the_lower_binomial_tail(case, alpha, delta):
    errors, n = case
    tail = binom.cdf(errors, n, alpha)
    assume(abs(tail - delta) > 1e-9)
    assert bool(passes_binomial_test(errors, n, alpha, delta)) == (tail <= delta)


@settings(deadline=None)
@given(st.lists(sizes, min_size=1, max_size=20), alphas, deltas)
def test_max_errors_is_the_largest_number_that_passes(n, alpha, delta):
    n = np.array(n)
    k = max_errors(n, alpha, delta)
    assert np.all(k >= -1)
    assert np.all(passes_binomial_test(k.clip(0), n, alpha, delta)[k >= 0])
    assert not np.any(passes_binomial_test(k + 1, n, alpha, delta))


def test_max_errors_by_hand():
    # 0.99 ** 368 is the first power below 0.025, and 0.99 ** 555 + 555 * 0.01 * 0.99 ** 554 the first such sum
    assert max_errors([0, 367, 368, 554, 555], 0.01, 0.025).tolist() == [-1, -1, 0, 0, 1]


@settings(deadline=None)
@given(counted(), deltas)
def test_the_population_bound_is_the_rate_at_which_so_few_errors_have_probability_delta(case, delta):
    errors, n = case
    bound = population_bound(errors, n, delta)
    if errors == n:
        assert bound == 1
    else:
        assert binom.cdf(errors, n, bound) == pytest.approx(delta, rel=1e-6)
        assert errors / n < bound < 1


@settings(deadline=None)
@given(counted(), alphas, deltas)
def test_the_binomial_test_passes_exactly_if_the_population_bound_is_at_most_alpha(case, alpha, delta):
    errors, n = case
    bound = population_bound(errors, n, delta)
    assume(abs(bound - alpha) > 1e-9)
    assert bool(passes_binomial_test(errors, n, alpha, delta)) == (bound <= alpha)


@settings(deadline=None)
@given(counted(40), st.integers(0, 40), st.floats(0.001, 0.5))
def test_the_batch_bound_is_that_of_counting_all_draws_without_replacement(case, batch, delta):
    errors, n = case

    def chance(wrong):
        """That at most so many of the n are wrong, if errors + wrong of all are."""
        total = errors + wrong
        ways = sum(comb(total, j) * comb(n + batch - total, n - j) for j in range(min(errors, total) + 1))
        return ways / comb(n + batch, n)

    tails = [chance(wrong) for wrong in range(batch + 1)]
    assume(min(abs(tail - delta) for tail in tails) > 1e-12)
    assert batch_bound(errors, n, batch, delta) == max(k for k, tail in enumerate(tails) if tail > delta)


@settings(deadline=None)
@given(counted(), st.integers(1, 100_000), deltas)
def test_the_batch_bound_is_a_quantile_of_the_beta_binomial_law(case, batch, delta):
    errors, n = case
    assume(errors < n)
    bound = batch_bound(errors, n, batch, delta)
    law = betabinom(batch, errors + 1, n - errors)
    assert bound == 0 or law.sf(bound - 1) >= delta * (1 - 1e-6)
    assert law.sf(bound) <= delta * (1 + 1e-6)


@settings(deadline=None)
@given(counted(500), st.integers(0, 5000), deltas)
def test_the_batch_bound_grows_with_errors_and_batch_and_shrinks_with_delta(case, batch, delta):
    errors, n = case
    bound = batch_bound(errors, n, batch, delta)
    assert 0 <= bound <= batch
    assert bound <= batch_bound(min(errors + 1, n), n, batch, delta)
    assert bound <= batch_bound(errors, n, batch + 1, delta) <= bound + 1
    assert bound <= batch_bound(errors, n, batch, delta / 2)


def test_nothing_counted_bounds_nothing_and_an_empty_batch_has_no_errors():
    assert batch_bound(0, 0, 10, 0.05) == 10
    assert batch_bound(3, 3, 10, 0.05) == 10
    assert batch_bound(2, 400, 0, 0.05) == 0


def test_the_batch_bound_of_a_large_batch_is_nearly_that_of_the_population():
    assert batch_bound(2, 400, 10**8, 0.01) / 10**8 == pytest.approx(population_bound(2, 400, 0.01), rel=1e-3)


@pytest.mark.parametrize(("rate", "n", "batch", "delta"), [(0.01, 400, 2000, 0.05), (0.05, 200, 50, 0.1)])
def test_batches_exceed_their_bound_as_seldom_as_promised_and_not_much_more_seldom(rate, n, batch, delta):
    rng = np.random.default_rng(3)
    runs = 4000
    errors, wrong = rng.binomial(n, rate, runs), rng.binomial(batch, rate, runs)
    bounds = {e: batch_bound(int(e), n, batch, delta) for e in np.unique(errors)}
    exceeded = sum(w > bounds[e] for e, w in zip(errors, wrong, strict=True))
    assert exceeded <= binom.ppf(0.999, runs, delta)
    assert exceeded > 0.2 * delta * runs  # exact, but for the steps of small numbers


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_documented_numbers_show_alpha_beside_votes_that_are_wrong_themselves(share):
    """The table of docs/certificates.md: the fewest for which a perfect network passes four times out of five."""
    row = {0.25: "a quarter of alpha", 0.5: "half of alpha", 0.75: "three quarters of alpha"}[share]
    page = (DOCS / "certificates.md").read_text(encoding="utf-8")
    (line,) = (text for text in page.splitlines() if text.startswith(f"| {row} |"))
    said = [int(cell.replace(",", "")) for cell in line.split("|")[2:5]]
    for alpha, fewest in zip((0.05, 0.02, 0.01), said, strict=True):
        n = np.arange(zero_error_n(alpha, 0.005), fewest + 1)
        passes = binom.cdf(max_errors(n, alpha, 0.005), n, share * alpha)
        assert passes[-1] >= 0.8 > passes[:-1].max()
