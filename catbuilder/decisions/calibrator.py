"""Calibrate posteriors by temperature or vector scaling, so that a confidence of 0.9 is right nine times out of ten.

One parameter for the whole network (temperature, Guo et al. 2017), that and a shift for each class (bias-corrected
temperature, Alexandari et al. 2020), or a scale and a shift for each class (vector scaling), is fitted to objects of
the target survey that the network has never seen. More parameters would fit noise.
Calibrated confidences only rank and inform; error bounds are counted on other objects (`threshold_test`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Method = Literal["temperature", "shift", "vector"]

TIE = -1  # truth of an object whose votes are equal
_SMALLEST = 1e-30
_STEEPEST = np.log(100.0)  # inverse temperatures lie between 1/100 and 100
# Standard deviation of the prior on a class's shift, in nats: two classes lean by a factor of two in their odds. A few
# dozen objects that fit the shift freely err by as much as it corrects (docs/results-recursion.md).
_PRIOR_SHIFT = 0.5


@dataclass(frozen=True)
class Calibrator:
    """A fitted calibrator: calibrated posterior = softmax(scale * ln p + shift), with a scale and shift per class."""

    method: Method
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def __call__(self, posterior: npt.ArrayLike) -> Floats:
        """Calibrate posteriors (n, classes)."""
        return _softmax(np.asarray(self.scale) * _log(posterior) + np.asarray(self.shift))

    def inverse(self, calibrated: npt.ArrayLike) -> Floats:
        """Compute the posteriors (n, classes) that give these calibrated ones; not for vector scaling.

        Raises
        ------
        ValueError
            The classes have scales of their own.
        """
        if len(set(self.scale)) > 1:
            raise ValueError("posteriors cannot be recovered where each class has a scale of its own")
        return _softmax((_log(calibrated) - np.asarray(self.shift)) / np.asarray(self.scale))


def fit_calibrator(posterior: npt.ArrayLike, truth: Ints, method: Method = "temperature") -> Calibrator:
    """Fit the calibrator with the smallest cross-entropy; shifts beside one temperature have a prior around 0.

    Targets are smoothed a little towards 1 / classes, as if each class had been seen once more (Platt 1999). Otherwise
    a fitting half without errors would give confidences of exactly 1, which cannot be ranked.

    Parameters
    ----------
    posterior : (n, classes), n > 0
    truth : int (n,), index into the classes; `TIE` counts equally for all classes
    """
    logs = _log(posterior)
    n, classes = logs.shape
    hot = np.where(truth[:, None] == TIE, 1 / classes, truth[:, None] == np.arange(classes))
    target = (hot * n + 1 / classes) / (n + 1)
    if method == "temperature":
        scale = _fit_temperature(logs, target)
        return Calibrator(method, (scale,) * classes, (0.0,) * classes)
    return _fit_shifts(logs, target, method)


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin of a reliability curve: its range of confidence, its objects, and how many of them are right."""

    low: float
    high: float
    n: int
    right: int


def reliability(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10) -> list[ReliabilityBin]:
    """Compute the reliability curve in bins of equally many objects.

    Bins of equal width would leave the bins of low confidence nearly empty (Nguyen & O'Connor 2015).
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order) or 1)) if len(part)]
    return [
        ReliabilityBin(float(confidence[p[0]]), float(confidence[p[-1]]), len(p), int(right[p].sum())) for p in parts
    ]


def expected_calibration_error(confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10) -> float:
    """Compute the expected calibration error over the bins of `reliability` (Guo et al. 2017).

    It is the mean over objects of the distance between their bin's mean confidence and its accuracy.
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    return float(resampled_calibration_errors(confidence, right, np.arange(len(confidence))[None], bins)[0])


def resampled_calibration_errors(confidence: Floats, right: Floats, samples: Ints, bins: int = 10) -> Floats:
    """Compute the expected calibration error of each sample of the objects: float (samples,).

    Parameters
    ----------
    samples : int (samples, n), places of the objects in `confidence` and `right`
    """
    rank = np.unique(confidence, return_inverse=True)[1]
    small = rank.astype(np.uint16) if len(rank) <= 1 << 16 else rank  # numpy sorts these in a third of the time
    sorted_samples = np.take_along_axis(samples, np.argsort(small[samples], axis=1, kind="stable"), axis=1)
    confidence, right = confidence[sorted_samples], right[sorted_samples]
    total = np.zeros(len(samples))
    for part in np.array_split(np.arange(samples.shape[1]), bins):
        if len(part):
            inside = slice(part[0], part[-1] + 1)
            total += abs(right[:, inside].sum(axis=1) - confidence[:, inside].sum(axis=1))
    return total / max(samples.shape[1], 1)


def brier_score(posterior: npt.ArrayLike, truth: Ints) -> Floats:
    """Compute each object's Brier score: the squared distance of posterior and truth, summed over classes (Brier 1950).

    Float (n,). A tie has no true class: its target is 0 for every class.
    """
    posterior = np.asarray(posterior, float)
    return np.asarray(((posterior - (truth[:, None] == np.arange(posterior.shape[1]))) ** 2).sum(axis=1))


def _fit_temperature(logs: Floats, target: Floats) -> float:
    columns = np.ascontiguousarray(logs.T)
    below = columns - columns.max(axis=0)  # relative to the most probable class no power overflows
    wanted = float((target.T * below).sum())

    def slope(log_scale: float) -> float:
        """Compute the slope of the cross-entropy, which is convex in the scale."""
        powers = np.exp(np.exp(log_scale) * below)
        return float(((powers * below).sum(axis=0) / powers.sum(axis=0)).sum()) - wanted

    if slope(_STEEPEST) <= 0:
        return float(np.exp(_STEEPEST))
    if slope(-_STEEPEST) >= 0:
        return float(np.exp(-_STEEPEST))
    return float(np.exp(brentq(slope, -_STEEPEST, _STEEPEST, xtol=1e-9)))


def _fit_shifts(logs: Floats, target: Floats, method: Method) -> Calibrator:
    """Fit a shift for each class, and one scale for all classes or, for vector scaling, for each."""
    n, classes = logs.shape
    scales = classes if method == "vector" else 1
    tightness = 0.0 if method == "vector" else 1 / (n * _PRIOR_SHIFT**2)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scale, shift = parameters[:scales], parameters[scales:]
        posterior = _softmax(scale * logs + shift)
        difference = (posterior - target) / n
        slopes = (difference * logs).sum(axis=0)
        towards_0 = difference.sum(axis=0) + tightness * shift
        gradient = np.concatenate([slopes if scales > 1 else [slopes.sum()], towards_0])
        cross_entropy = -(target * np.log(posterior.clip(_SMALLEST))).sum() / n
        return float(cross_entropy + tightness * (shift**2).sum() / 2), gradient

    start = np.concatenate([np.full(scales, _fit_temperature(logs, target)), np.zeros(classes)])
    # Scales stay positive, so that a larger posterior never gives a smaller confidence.
    limits = [(1e-2, 1e2)] * scales + [(-50.0, 50.0)] * classes
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    shift = found[scales:] - found[scales:].mean()  # only differences count
    return Calibrator(method, tuple(map(float, np.resize(found[:scales], classes))), tuple(map(float, shift)))


def _log(posterior: npt.ArrayLike) -> Floats:
    return np.log(np.maximum(np.asarray(posterior, np.float64), _SMALLEST))


def _softmax(logits: Floats) -> Floats:
    # By columns: numpy is five times as slow along rows of two.
    columns = np.ascontiguousarray(logits.T)
    powers = np.exp(columns - columns.max(axis=0))
    return np.asarray((powers / powers.sum(axis=0)).T)
