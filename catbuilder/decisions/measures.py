"""What is counted on one set of scored objects: proportions with Wilson's interval, at full and at half coverage.

Plain counts of right and wrong, of arrays alone, so that whoever needs an accuracy with an interval makes it the same
way; `evaluate` knows where the arrays come from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from astropy.stats import binom_conf_interval
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

COVERAGES = (1.0, 0.5)


@dataclass(frozen=True)
class Metric:
    """One row of the table `metrics`, but for where it was measured."""

    metric: str
    value: float | None  # None where there was nothing to count
    n: int
    coverage: float
    label: str | None = None  # the class it is about
    predicted: str | None = None  # confusion counts only
    low: float | None = None
    high: float | None = None
    variable: str | None = None  # what is binned: bin_low <= variable < bin_high, the last bin with its end
    bin_low: float | None = None
    bin_high: float | None = None
    truth: str = "debiased"  # or 'raw': the class with more of the volunteers' raw votes


def measure(truth: np.ndarray, posterior: np.ndarray, classes: tuple[str, ...], unscorable: int = 0) -> list[Metric]:
    """Counts, accuracy, precision, recall, F1, AUC and confusion of one set, at full and at half coverage.

    Parameters
    ----------
    truth : int (n,), index into the classes
    posterior : float (n, classes)
    unscorable : members with truth that have no score

    Notes
    -----
    Intervals are Wilson's at 95 per cent (Wilson 1927). At half coverage the surest ceil(n / 2) count, ties
    in the order given.
    """
    metrics = [
        Metric("scored", float(len(truth)), len(truth) + unscorable, 1.0),
        Metric("unscorable", float(unscorable), len(truth) + unscorable, 1.0),
    ]
    order = surest_first(posterior)
    for coverage in COVERAGES:
        kept = order[: kept_at(coverage, len(order))]
        if len(kept):
            metrics += _at_coverage(truth[kept], posterior[kept], classes, coverage)
    right = int((posterior.argmax(axis=1) == truth).sum())
    if len(truth) + unscorable:
        metrics.append(proportion("accuracy_unscorable_wrong", right, len(truth) + unscorable, 1.0))
    return metrics


def surest_first(posterior: np.ndarray) -> np.ndarray:
    """Indices of the rows by falling confidence (highest posterior), ties in the order given."""
    return np.argsort(-posterior.max(axis=1), kind="stable")


def kept_at(coverage: float, n: int) -> int:
    """How many of n objects a coverage keeps, rounded up."""
    return math.ceil(round(coverage * n, 6))  # 0.55 of 20 is 11, and 11.000000000000002 in floating point


def proportion(metric: str, k: int, n: int, coverage: float, label: str | None = None) -> Metric:
    """A proportion with Wilson's interval; with nothing to count it is unknown, and may be anywhere in [0, 1]."""
    if n == 0:
        return Metric(metric, None, 0, coverage, label, low=0.0, high=1.0)
    low, high = binom_conf_interval(k, n, confidence_level=0.95, interval="wilson")
    # 0 of n reaches down to 0 and n of n up to 1 in the formula, and 1e-17 beside them in floating point
    low, high = 0.0 if k == 0 else float(low), 1.0 if k == n else float(high)
    return Metric(metric, k / n, n, coverage, label, low=low, high=high)


def _at_coverage(truth: np.ndarray, posterior: np.ndarray, classes: tuple[str, ...], coverage: float) -> list[Metric]:
    numbers = np.arange(len(classes))
    predicted = posterior.argmax(axis=1)
    n = len(truth)
    metrics = [proportion("accuracy", int((predicted == truth).sum()), n, coverage)]
    _, _, f1, _ = precision_recall_fscore_support(truth, predicted, labels=numbers, zero_division=0)
    counts = confusion_matrix(truth, predicted, labels=numbers)
    for i, name in enumerate(classes):
        metrics.append(proportion("precision", int(counts[i, i]), int(counts[:, i].sum()), coverage, name))
        metrics.append(proportion("recall", int(counts[i, i]), int(counts[i].sum()), coverage, name))
        metrics.append(Metric("f1", float(f1[i]), n, coverage, name))
        if 0 < (truth == i).sum() < n:
            metrics.append(Metric("auc", float(roc_auc_score(truth == i, posterior[:, i])), n, coverage, name))
        for j, other in enumerate(classes):
            metrics.append(Metric("confusion", float(counts[i, j]), n, coverage, name, other))
    return metrics


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
