"""Calibration: a confidence of 0.9 shall be right nine times out of ten, in the survey that is labelled.

One parameter for the whole network (temperature, Guo et al. 2017) or a scale and a shift for each class (vector
scaling) are fitted to objects of the target survey that the network has never seen. More would fit their noise: the
confidences only rank and inform, and what is promised of them is counted on other objects (`certify`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Method = Literal["temperature", "vector"]

TIE = -1  # truth of an object whose votes are equal
_SMALLEST = 1e-30
_STEEPEST = np.log(100.0)  # inverse temperatures lie between 1/100 and 100


@dataclass(frozen=True)
class Calibrator:
    """Calibrated posterior = softmax(scale * ln p + shift), a scale and a shift for each class."""

    method: Method
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def __call__(self, posterior: npt.ArrayLike) -> Floats:
        """Calibrate posteriors (n, classes)."""
        return _softmax(np.asarray(self.scale) * _log(posterior) + np.asarray(self.shift))


def fit_calibrator(posterior: npt.ArrayLike, truth: Ints, method: Method = "temperature") -> Calibrator:
    """The calibrator of least cross-entropy.

    Targets are drawn a little towards 1 / classes, as if each had been seen once more than it was (Platt 1999): else a
    fit half without an error would be fitted by certainties, among which nothing can be ranked.

    Parameters
    ----------
    posterior : (n, classes), n > 0
    truth : (n,), index into the classes; `TIE` counts for all of them alike
    """
    logs = _log(posterior)
    n, classes = logs.shape
    hot = np.where(truth[:, None] == TIE, 1 / classes, truth[:, None] == np.arange(classes))
    target = (hot * n + 1 / classes) / (n + 1)
    if method == "temperature":
        scale = _fit_temperature(logs, target)
        return Calibrator(method, (scale,) * classes, (0.0,) * classes)
    return _fit_vector(logs, target)


@dataclass(frozen=True)
class ReliabilityBin:
    """Objects of like confidence, and how often they are right."""

    low: float
    high: float
    n: int
    right: int


def reliability(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10) -> list[ReliabilityBin]:
    """The reliability curve, in bins of equally many objects.

    Bins of equal width leave the uncertain ones nearly empty (Nguyen & O'Connor 2015).
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order) or 1)) if len(part)]
    return [
        ReliabilityBin(float(confidence[p[0]]), float(confidence[p[-1]]), len(p), int(right[p].sum())) for p in parts
    ]


def expected_calibration_error(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10) -> float:
    """Mean distance of confidence and accuracy over the bins of `reliability` (Guo et al. 2017)."""
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order) or 1)) if len(part)]
    return sum(abs(float(right[p].sum() - confidence[p].sum())) for p in parts) / max(len(order), 1)


def brier_score(posterior: npt.ArrayLike, truth: Ints) -> Floats:
    """Squared distance of each posterior from the truth, summed over the classes (Brier 1950): (n,); a tie has none."""
    posterior = np.asarray(posterior, float)
    return np.asarray(((posterior - (truth[:, None] == np.arange(posterior.shape[1]))) ** 2).sum(axis=1))


def _fit_temperature(logs: Floats, target: Floats) -> float:
    columns = np.ascontiguousarray(logs.T)
    below = columns - columns.max(axis=0)  # the surest class stays so at any scale: relative to it no power overflows
    wanted = float((target.T * below).sum())

    def slope(log_scale: float) -> float:
        """Of the cross-entropy, which is convex in the scale."""
        powers = np.exp(np.exp(log_scale) * below)
        return float(((powers * below).sum(axis=0) / powers.sum(axis=0)).sum()) - wanted

    if slope(_STEEPEST) <= 0:
        return float(np.exp(_STEEPEST))
    if slope(-_STEEPEST) >= 0:
        return float(np.exp(-_STEEPEST))
    return float(np.exp(brentq(slope, -_STEEPEST, _STEEPEST, xtol=1e-9)))


def _fit_vector(logs: Floats, target: Floats) -> Calibrator:
    n, classes = logs.shape

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scale, shift = parameters[:classes], parameters[classes:]
        posterior = _softmax(scale * logs + shift)
        difference = (posterior - target) / n
        gradient = np.concatenate([(difference * logs).sum(axis=0), difference.sum(axis=0)])
        return float(-(target * np.log(posterior.clip(_SMALLEST))).sum() / n), gradient

    start = np.concatenate([np.full(classes, _fit_temperature(logs, target)), np.zeros(classes)])
    # Scales stay positive: a class that gains posterior shall not lose confidence.
    limits = [(1e-2, 1e2)] * classes + [(-50.0, 50.0)] * classes
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    shift = found[classes:] - found[classes:].mean()  # only differences count
    return Calibrator("vector", tuple(map(float, found[:classes])), tuple(map(float, shift)))


def _log(posterior: npt.ArrayLike) -> Floats:
    return np.log(np.maximum(np.asarray(posterior, np.float64), _SMALLEST))


def _softmax(logits: Floats) -> Floats:
    # By columns: numpy is five times as slow along rows of two.
    columns = np.ascontiguousarray(logits.T)
    powers = np.exp(columns - columns.max(axis=0))
    return np.asarray((powers / powers.sum(axis=0)).T)
