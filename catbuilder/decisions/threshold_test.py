"""Find the confidence threshold above which the error rate of a class is bounded, by fixed-sequence testing.

The fitting half of the calibration objects proposes a grid of thresholds, from the one most likely to pass to looser
ones. The certifying half, which has not chosen anything, tests them in that order and stops at the first that fails.
The bound holds for the loosest threshold that passed, with probability 1 - delta, whatever the number of thresholds
(Learn then Test, Angelopoulos et al. 2021, arXiv:2110.01052, section 3.2; Wiens 2003). Each test is an exact binomial
tail. Nothing is assumed about the network: a bad one is refused.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, gammaln

from catbuilder.decisions.error_bounds import (
    batch_bound,
    max_errors,
    passes_binomial_test,
    population_bound,
    zero_error_n,
)

_CANDIDATES = 60  # ranks of the fitting half for which the probability to pass is estimated
_PRIOR = 20.0  # weight, in objects, of the calibrated confidences against the errors counted in the fitting half
_MIN_PASS_PROBABILITY = 0.02  # thresholds less likely to pass are not worth a place in the grid

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CalibrationSample:
    """Calibration objects of one predicted class: calibrated confidence and whether it is wrong, (n,) each."""

    confidence: npt.NDArray[np.float32]
    wrong: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.confidence)


@dataclass(frozen=True)
class ClassCertificate:
    """The result of the test for one class; `threshold` is None if it is refused."""

    alpha: float
    delta: float
    grid: tuple[float, ...]
    accepted: int  # thresholds of the grid that passed
    threshold: float | None
    n: int  # certifying objects at or above the threshold (for a refusal: the strictest one)
    errors: int
    population_bound: float  # alpha if certified, since that was tested; for a refusal Clopper and Pearson's
    needed: int | None  # for a refusal: certifying objects of this predicted class to be added; None: no number helps
    reason: str | None  # for a refusal

    def batch_errors(self, batch: int) -> int:
        """Compute the largest number of wrong labels in a batch of so many pool objects at or above the threshold.

        Any threshold of the grid might have been chosen, so each has its share of delta.
        """
        return batch_bound(self.errors, self.n, batch, self.delta / len(self.grid))

    def stricter(self, certify: CalibrationSample, place: int) -> "ClassCertificate":
        """Make the certificate of an earlier threshold of the grid, which has passed too."""
        return _at(certify, self.grid, place + 1, self.alpha, self.delta)


def certify_class(
    fit: CalibrationSample, certify: CalibrationSample, ratio: float, alpha: float, delta: float, steps: int
) -> ClassCertificate:
    """Certify one class: choose a grid of thresholds, and test it.

    Parameters
    ----------
    fit, certify : fitting and certifying half of the class
    ratio : number of certifying objects per fitting object, all classes together
    alpha : promised upper bound on the error rate of the population above the threshold
    delta : probability that the bound may fail
    steps : largest number of thresholds in the grid
    """
    grid = choose_grid(fit, ratio, alpha, delta, steps)
    accepted = count_passed(certify, grid, alpha, delta) if len(grid) else 0
    if accepted:
        return _at(certify, grid, accepted, alpha, delta)
    return _refusal(certify, grid, alpha, delta)


def choose_grid(fit: CalibrationSample, ratio: float, alpha: float, delta: float, steps: int) -> tuple[float, ...]:
    """Choose the thresholds to test, the strictest first, from the fitting half alone.

    The first is the one most likely to pass: a stricter one leaves too few objects to show anything, a looser one has
    more errors. The last is the loosest with a probability to pass of at least 2 per cent. Each step between them adds
    equally many objects. The error rates assumed are the counted errors, combined with the calibrated confidences.
    """
    if not len(fit):
        return ()
    if np.floor(len(fit) * ratio) < zero_error_n(alpha, delta):
        return (float(fit.confidence.min()),)  # too few of this class for any threshold; one is tested for the message
    order = np.argsort(-fit.confidence, kind="stable")
    confidence, errors = fit.confidence[order], np.cumsum(fit.wrong[order])
    # the last of equal confidences, because a threshold includes all of them
    last = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    ranks = last[np.unique(np.linspace(0, len(last) - 1, min(_CANDIDATES, len(last))).astype(int))]
    number = ranks + 1
    expected = (np.cumsum(1 - confidence.astype(np.float64))[ranks] / number).clip(1e-9, 1 - 1e-9)
    wrong = errors[ranks] + _PRIOR * expected
    n = np.floor(number * ratio).astype(np.int64)
    allowed = max_errors(n, alpha, delta)
    passes = _pass_probability(allowed, n, wrong, number + _PRIOR - wrong)
    first = int(np.flatnonzero(passes >= passes.max() - 0.01)[-1])
    end = int(np.flatnonzero(passes >= min(_MIN_PASS_PROBABILITY, passes.max()))[-1])
    places = np.unique(np.linspace(ranks[first], ranks[max(first, end)], steps).astype(int))
    return tuple(dict.fromkeys(float(t) for t in confidence[places]))


def _pass_probability(allowed: Ints, n: Ints, wrong: Floats, right: Floats) -> Floats:
    """Compute the beta-binomial probability that at most `allowed` of n are wrong, given earlier counts; (ranks,).

    The binomial at the most likely rate would favour those of the 60 ranks that had few errors by luck. The sum is
    written out because scipy.stats.betabinom takes ten times as long.
    """
    errors = np.arange(max(int(allowed.max()), 0) + 1)[:, None]
    rest = (n - errors).clip(0)
    ways = gammaln(n + 1) - gammaln(errors + 1) - gammaln(rest + 1)
    terms = np.exp(ways + betaln(wrong + errors, right + rest) - betaln(wrong, right))
    return np.where(errors <= allowed, terms, 0.0).sum(axis=0)


def count_passed(certify: CalibrationSample, grid: tuple[float, ...], alpha: float, delta: float) -> int:
    """Count the thresholds that pass before the first that fails."""
    n, errors = _counts(certify, grid)
    passed = passes_binomial_test(errors, n, alpha, delta)
    return int(len(grid) if passed.all() else passed.argmin())


def _counts(certify: CalibrationSample, grid: tuple[float, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    above = certify.confidence[:, None] >= np.asarray(grid, np.float32)
    return above.sum(axis=0), (above & certify.wrong[:, None]).sum(axis=0)


def _at(
    certify: CalibrationSample, grid: tuple[float, ...], accepted: int, alpha: float, delta: float
) -> ClassCertificate:
    n, errors = (int(counts[accepted - 1]) for counts in _counts(certify, grid))
    return ClassCertificate(alpha, delta, grid, accepted, grid[accepted - 1], n, errors, alpha, None, None)


def _refusal(certify: CalibrationSample, grid: tuple[float, ...], alpha: float, delta: float) -> ClassCertificate:
    n, errors = len(certify), int(certify.wrong.sum())
    if grid:
        n, errors = (int(counts[0]) for counts in _counts(certify, grid))
    least = zero_error_n(alpha, delta)
    # The reason is recorded, and `check` computes it again: older catalogues hold these words.
    if not grid and n >= least:
        needed: int | None = 1
        reason = "no fitting galaxy is predicted so, so that no threshold could be proposed"
    elif n < least:
        needed = least - n
        reason = (
            f"only {n} certifying galaxies are predicted so and surely enough, and {least} without error are the least"
        )
    else:
        needed = _missing(errors, n, alpha, delta)
        allowed = int(max_errors(n, alpha, delta))
        reason = f"{errors} of {n} certifying galaxies are wrong, and at most {allowed} may be"
        if needed is None:
            rate = f"{errors / n:.1%}"
            reason += f"; at an error rate of {rate} no number of labels shows {alpha:.1%}: the network must improve"
    bound = population_bound(errors, n, delta)
    return ClassCertificate(alpha, delta, grid, 0, None, n, errors, bound, needed, reason)


def _missing(errors: int, n: int, alpha: float, delta: float) -> int | None:
    """Compute how many certifying objects must be added for the test to pass at the measured error rate.

    None if no number is enough.
    """
    rate = (errors + 0.5) / (n + 1)
    if rate >= alpha:
        return None
    sizes = np.unique(np.geomspace(n + 1, 1000 * n + 1, 400).astype(np.int64))
    enough = np.flatnonzero(passes_binomial_test(np.ceil(rate * sizes), sizes, alpha, delta))
    return int(sizes[enough[0]]) - n if len(enough) else None
