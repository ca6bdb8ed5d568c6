"""Compute accuracy, precision, recall, AUC and risk-coverage from arrays of truth and posteriors, with intervals.

These functions see arrays alone, so that every part of catbuilder computes an accuracy and its interval in the same
way; `evaluate` reads the arrays from the catalogue.
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
    """One row of the table `metrics`, without round, test set and survey."""

    metric: str
    value: float | None  # None if there was nothing to count
    n: int
    coverage: float
    label: str | None = None  # the class it is about
    predicted: str | None = None  # confusion counts only
    low: float | None = None
    high: float | None = None
    variable: str | None = None  # the binned variable: bin_low <= variable < bin_high; the last bin includes its end
    bin_low: float | None = None
    bin_high: float | None = None
    truth: str = "debiased"  # or 'raw': the class with more of the volunteers' raw votes


def classification_metrics(
    truth: np.ndarray, posterior: np.ndarray, classes: tuple[str, ...], unscorable: int = 0
) -> list[Metric]:
    """Compute counts, accuracy, precision, recall, F1, AUC and confusion of one set, at full and at half coverage.

    Parameters
    ----------
    truth : int (n,), index into the classes
    posterior : float (n, classes)
    unscorable : number of members with a true class but without a score

    Notes
    -----
    Intervals are Wilson's at 95 per cent (Wilson 1927). Half coverage means the ceil(n / 2) objects of highest
    confidence; ties are kept in the order given.
    """
    metrics = [
        Metric("scored", float(len(truth)), len(truth) + unscorable, 1.0),
        Metric("unscorable", float(unscorable), len(truth) + unscorable, 1.0),
    ]
    order = surest_first(posterior)
    for coverage in COVERAGES:
        kept = order[: objects_at_coverage(coverage, len(order))]
        if len(kept):
            metrics += _at_coverage(truth[kept], posterior[kept], classes, coverage)
    right = int((posterior.argmax(axis=1) == truth).sum())
    if len(truth) + unscorable:
        metrics.append(proportion("accuracy_unscorable_wrong", right, len(truth) + unscorable, 1.0))
    return metrics


def surest_first(posterior: np.ndarray) -> np.ndarray:
    """Sort rows by falling confidence (highest posterior), and return their indices; ties keep the order given."""
    return np.argsort(-posterior.max(axis=1), kind="stable")


def objects_at_coverage(coverage: float, n: int) -> int:
    """Compute how many of n objects a coverage keeps, rounded up."""
    return math.ceil(round(coverage * n, 6))  # 0.55 of 20 is 11, and 11.000000000000002 in floating point


def proportion(metric: str, k: int, n: int, coverage: float, label: str | None = None) -> Metric:
    """Compute the proportion k / n with Wilson's interval at 95 per cent; for n = 0 it is None in [0, 1]."""
    if n == 0:
        return Metric(metric, None, 0, coverage, label, low=0.0, high=1.0)
    low, high = binom_conf_interval(k, n, confidence_level=0.95, interval="wilson")
    # by the formula the interval of 0 of n begins at 0 and that of n of n ends at 1; rounding misses them by 1e-17
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
    """Compute accuracy against coverage, with Wilson's intervals at 95 per cent.

    At each coverage it is the accuracy of the ceil(coverage * n) most confident objects. The points share
    objects, so each interval holds alone and not for the curve as a whole.

    Parameters
    ----------
    truth : int (n,), index into the classes; n > 0
    posterior : float (n, classes)
    """
    right = np.cumsum((posterior.argmax(axis=1) == truth)[surest_first(posterior)])
    kept = [objects_at_coverage(coverage, len(truth)) for coverage in coverages]
    return [proportion("accuracy", int(right[k - 1]), k, c) for k, c in zip(kept, coverages, strict=True)]


def aurc(truth: np.ndarray, posterior: np.ndarray) -> Metric:
    """Compute the area under the risk-coverage curve (AURC), 0 at best.

    It is the mean over k = 1 ... n of the error rate of the k most confident objects. The curve is that of Geifman and
    El-Yaniv (2017), the area that of Geifman, Uziel and El-Yaniv (2019, section 3). Objects of equal confidence share
    their errors, which is the mean over all their orders; ties are common, because many confidences are exactly 1 in
    single precision. The interval is the 95 per cent percentile interval of a bootstrap over objects (Efron 1979); if
    no error was seen it has no width and says nothing.

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
    """Compute the mean error rate of all prefixes; `tie` numbers the groups of equal confidence, the highest first."""
    members = np.bincount(tie)
    members_wrong = np.bincount(tie[wrong], minlength=len(members))
    share = np.repeat(members_wrong / np.maximum(members, 1), members)
    return float(np.mean(np.cumsum(share) / np.arange(1, len(share) + 1)))
