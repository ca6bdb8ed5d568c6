"""Risk against coverage: how often the network errs among the objects that it is surest of, and the area under that.

One accuracy hides what a catalogue is made by, which is a choice of the surest objects. The curve shows every choice;
the area under its risk (1 - accuracy) is one number for how well confidence ranks errors and how few there are.
Coverage is a share of the scored objects: who could not be scored has no confidence to be ranked by.
"""

from collections.abc import Sequence

import numpy as np

from catbuilder.decisions.measures import Metric, kept_at, proportion, surest_first

CURVE = tuple(step / 20 for step in range(1, 21))  # coverages of the curve: 0.05 to 1

# Five hundred resamples give each end of a 95 per cent interval to about a thirtieth of its width, and 13,853 objects
# cost 0.16 s.
RESAMPLES = 500
_SEED = 0  # the same scores give the same interval


def accuracy_curve(truth: np.ndarray, posterior: np.ndarray, coverages: Sequence[float] = CURVE) -> list[Metric]:
    """Accuracy of the surest ceil(coverage * n) objects at each coverage, with Wilson's intervals.

    The points share their objects, so that the intervals hold one at a time and not for the curve as a whole.

    Parameters
    ----------
    truth : int (n,), index into the classes; n > 0
    posterior : float (n, classes)
    """
    right = np.cumsum((posterior.argmax(axis=1) == truth)[surest_first(posterior)])
    kept = [kept_at(coverage, len(truth)) for coverage in coverages]
    return [proportion("accuracy", int(right[k - 1]), k, c) for k, c in zip(kept, coverages, strict=True)]


def aurc(truth: np.ndarray, posterior: np.ndarray) -> Metric:
    """Area under the risk-coverage curve, 0 at best: the mean over k = 1 ... n of the error rate of the k surest.

    The curve is that of Geifman and El-Yaniv (2017), the area that of Geifman, Uziel and El-Yaniv (2019, section 3).
    Objects of equal confidence share their errors, which is the mean over all orders of them: in single precision
    many a confidence is exactly 1. The interval is the 95 per cent percentile interval of a bootstrap over objects
    (Efron 1979); where no error was seen it has no width and says nothing.

    Parameters
    ----------
    truth : int (n,), index into the classes; n > 0
    posterior : float (n, classes)
    """
    order = surest_first(posterior)
    n = len(order)
    wrong = (posterior.argmax(axis=1) != truth)[order]
    confidence = posterior.max(axis=1)[order]
    tie = np.cumsum(np.diff(confidence, prepend=confidence[0]) != 0)
    random = np.random.default_rng(_SEED)
    drawn = (random.integers(n, size=n) for _ in range(RESAMPLES))
    areas = [_area(tie[these], wrong[these]) for these in drawn] if wrong.any() else [0.0]
    low, high = np.quantile(areas, (0.025, 0.975))
    return Metric("aurc", _area(tie, wrong), n, 1.0, low=float(low), high=float(high))


def _area(tie: np.ndarray, wrong: np.ndarray) -> float:
    """Mean error rate of all prefixes; `tie` numbers the groups of equal confidence from the surest, in any order."""
    members = np.bincount(tie)
    members_wrong = np.bincount(tie[wrong], minlength=len(members))
    share = np.repeat(members_wrong / np.maximum(members, 1), members)
    return float(np.mean(np.cumsum(share) / np.arange(1, len(share) + 1)))
