"""What may be promoted of a class, and what is promised of it: fixed-sequence testing on held-out truth.

The fitting half of the calibration objects proposes a grid of thresholds, from the one most likely to pass to looser
ones. The certifying half, which has chosen nothing, tests them in that order and stops at the first that fails: the
loosest that passed holds, with probability 1 - delta, whatever the number of thresholds (Learn then Test, Angelopoulos
et al. 2021, arXiv:2110.01052, section 3.2; Wiens 2003). Each test is an exact binomial tail. Nothing is assumed of the
network: a bad one is refused, not certified.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, gammaln

from catbuilder.decisions.error_bounds import batch_bound, is_shown, most_errors, population_bound, zero_error_n

_CANDIDATES = 60  # ranks of the fitting half at which passing is judged
_PRIOR = 20.0  # objects that the calibrated confidences weigh against the errors counted in the fitting half
_HOPE = 0.02  # thresholds less likely to pass than this are not worth a place in the grid

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """Calibration objects of one predicted class: calibrated confidence (n,) and whether the truth is another (n,)."""

    confidence: npt.NDArray[np.float32]
    wrong: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.confidence)


@dataclass(frozen=True)
class ClassCertificate:
    """What was found for one class; `threshold` is None where nothing can be promised."""

    alpha: float
    delta: float
    grid: tuple[float, ...]
    accepted: int  # of the grid
    threshold: float | None
    n: int  # certifying objects at or above the threshold (of a refusal: above the strictest one)
    errors: int
    population_bound: float  # alpha where certified: what was tested; of a refusal Clopper and Pearson's
    needed: int | None  # of a refusal: missing certifying objects of this predicted class; None: no number helps
    reason: str | None  # of a refusal

    def batch_errors(self, batch: int) -> int:
        """Most wrong labels in a batch of so many pool objects at or above the threshold.

        Any threshold of the grid might have been taken, so each has its share of delta.
        """
        return batch_bound(self.errors, self.n, batch, self.delta / len(self.grid))

    def stricter(self, certify: Counted, place: int) -> "ClassCertificate":
        """The same with an earlier threshold of the grid that passed."""
        return _at(certify, self.grid, place + 1, self.alpha, self.delta)


def certify_class(
    fit: Counted, certify: Counted, ratio: float, alpha: float, delta: float, steps: int
) -> ClassCertificate:
    """Certify one class.

    Parameters
    ----------
    ratio : certifying objects for each fitting one, of all classes together
    alpha : error rate of the population above the threshold that is promised
    delta : probability with which the promise may fail
    steps : thresholds in the grid at most
    """
    grid = choose_grid(fit, ratio, alpha, delta, steps)
    accepted = passed_in_sequence(certify, grid, alpha, delta) if len(grid) else 0
    if accepted:
        return _at(certify, grid, accepted, alpha, delta)
    return _refusal(certify, grid, alpha, delta)


def choose_grid(fit: Counted, ratio: float, alpha: float, delta: float, steps: int) -> tuple[float, ...]:
    """Thresholds to be tested, the strictest first; by the fitting half alone.

    The first is where passing is most likely: a stricter one leaves too few objects to show anything, a looser one
    has more errors. The last is where hope ends. Between them equally many objects are added at each step. Error rates
    are the errors counted, drawn towards what the calibrated confidences say.
    """
    if not len(fit):
        return ()
    if np.floor(len(fit) * ratio) < zero_error_n(alpha, delta):
        return (float(fit.confidence.min()),)  # too few of this class at all: counted for the message
    order = np.argsort(-fit.confidence, kind="stable")
    confidence, errors = fit.confidence[order], np.cumsum(fit.wrong[order])
    # of equal confidences the last: a threshold takes all of them
    last = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    ranks = last[np.unique(np.linspace(0, len(last) - 1, min(_CANDIDATES, len(last))).astype(int))]
    number = ranks + 1
    expected = (np.cumsum(1 - confidence.astype(np.float64))[ranks] / number).clip(1e-9, 1 - 1e-9)
    wrong = errors[ranks] + _PRIOR * expected
    n = np.floor(number * ratio).astype(np.int64)
    allowed = most_errors(n, alpha, delta)
    hope = _chance_to_pass(allowed, n, wrong, number + _PRIOR - wrong)
    first = int(np.flatnonzero(hope >= hope.max() - 0.01)[-1])
    end = int(np.flatnonzero(hope >= min(_HOPE, hope.max()))[-1])
    places = np.unique(np.linspace(ranks[first], ranks[max(first, end)], steps).astype(int))
    return tuple(dict.fromkeys(float(t) for t in confidence[places]))


def _chance_to_pass(allowed: Ints, n: Ints, wrong: Floats, right: Floats) -> Floats:
    """That at most `allowed` of n are wrong where so many were wrong and right: the beta-binomial law, (ranks,).

    Not the binomial at the likeliest rate: among 60 ranks that finds the ones that were lucky. The sum is taken here as
    scipy.stats.betabinom takes ten times as long.
    """
    errors = np.arange(max(int(allowed.max()), 0) + 1)[:, None]
    rest = (n - errors).clip(0)
    ways = gammaln(n + 1) - gammaln(errors + 1) - gammaln(rest + 1)
    terms = np.exp(ways + betaln(wrong + errors, right + rest) - betaln(wrong, right))
    return np.where(errors <= allowed, terms, 0.0).sum(axis=0)


def passed_in_sequence(certify: Counted, grid: tuple[float, ...], alpha: float, delta: float) -> int:
    """How many thresholds pass before the first that does not."""
    n, errors = _counts(certify, grid)
    passed = is_shown(errors, n, alpha, delta)
    return int(len(grid) if passed.all() else passed.argmin())


def _counts(certify: Counted, grid: tuple[float, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    above = certify.confidence[:, None] >= np.asarray(grid, np.float32)
    return above.sum(axis=0), (above & certify.wrong[:, None]).sum(axis=0)


def _at(certify: Counted, grid: tuple[float, ...], accepted: int, alpha: float, delta: float) -> ClassCertificate:
    n, errors = (int(counts[accepted - 1]) for counts in _counts(certify, grid))
    return ClassCertificate(alpha, delta, grid, accepted, grid[accepted - 1], n, errors, alpha, None, None)


def _refusal(certify: Counted, grid: tuple[float, ...], alpha: float, delta: float) -> ClassCertificate:
    n, errors = len(certify), int(certify.wrong.sum())
    if grid:
        n, errors = (int(counts[0]) for counts in _counts(certify, grid))
    least = zero_error_n(alpha, delta)
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
        allowed = int(most_errors(n, alpha, delta))
        reason = f"{errors} of {n} certifying galaxies are wrong, and at most {allowed} may be"
        if needed is None:
            rate = f"{errors / n:.1%}"
            reason += f"; at an error rate of {rate} no number of labels shows {alpha:.1%}: the network must improve"
    bound = population_bound(errors, n, delta)
    return ClassCertificate(alpha, delta, grid, 0, None, n, errors, bound, needed, reason)


def _missing(errors: int, n: int, alpha: float, delta: float) -> int | None:
    """Certifying objects to be added for the error rate found to be shown; None if no number would do."""
    rate = (errors + 0.5) / (n + 1)
    if rate >= alpha:
        return None
    sizes = np.unique(np.geomspace(n + 1, 1000 * n + 1, 400).astype(np.int64))
    enough = np.flatnonzero(is_shown(np.ceil(rate * sizes), sizes, alpha, delta))
    return int(sizes[enough[0]]) - n if len(enough) else None
