"""A sky of which everything is known: Gaussian classes, a linear network, and exact error rates above any threshold.

Two classes are normal, N(+-separation / 2, 1) along a first feature and N(0, 1) along a second (the nuisance: think of
the seeing). A network is Fisher's linear discriminant, so all that its score, and the scores of the networks before it,
leave of the population lies between straight lines: its mass is an integral over the second feature of normal
probabilities of the first, summed here at equal steps. No reference sample is drawn. With the nodes of `FINE` an error
rate is right to 1 part in 10^6, with those of `COARSE` to 1 in 10^4.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]
COARSE, FINE = 97, 801  # nodes: to look for the oracle's threshold, and to judge a promise
REACH = 6.5  # standard deviations that the nodes span on either side


@dataclass(frozen=True)
class Sky:
    """Where galaxies stand in the two features."""

    separation: float  # d' of the first feature
    ratio: float  # class 0 for each of class 1
    fade: float = 0.0  # the classes draw nearer by exp(-fade * second feature)
    shift: float = 0.0  # of the second feature in the pool against the calibration objects

    @property
    def prior(self) -> Floats:
        return np.array([self.ratio, 1.0]) / (self.ratio + 1)

    def means(self, second: Floats) -> Floats:
        """Of the first feature given the second, (2, n)."""
        apart = self.separation / 2 * np.exp(-self.fade * second)
        return np.stack([-apart, apart])

    def draw(self, rng: np.random.Generator, n: int, shift: float = 0.0) -> tuple[Floats, Bools]:
        """Features (n, 2) in single precision, and whether each is of class 1."""
        truth = rng.random(n, np.float32) < self.prior[1]
        return self._features(rng, truth, shift), truth

    def draw_equal(self, rng: np.random.Generator, each: int) -> tuple[Floats, Bools]:
        """A labelled set with as many of either class."""
        truth = np.arange(2 * each) < each
        return self._features(rng, truth, 0.0), truth

    def _features(self, rng: np.random.Generator, truth: Bools, shift: float) -> Floats:
        features = rng.standard_normal((len(truth), 2), np.float32)
        features[:, 1] += np.float32(shift)
        apart = np.float32(self.separation / 2)
        if self.fade:
            apart = apart * np.exp(-np.float32(self.fade) * features[:, 1])
        features[:, 0] += np.where(truth, apart, -apart)
        return features


@dataclass(frozen=True)
class Moments:
    """What a linear discriminant needs of labelled objects: numbers, sums and products of each class."""

    n: Floats  # (2,)
    sums: Floats  # (2, 2)
    products: Floats  # (2, 2)

    @classmethod
    def none(cls) -> "Moments":
        return cls(np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2)))

    @classmethod
    def of(cls, features: Floats, label: Bools) -> "Moments":
        features = features.astype(np.float64)
        ones = label.astype(np.float64)
        sums = np.stack([(1 - ones) @ features, ones @ features])
        return cls(np.array([len(ones) - ones.sum(), ones.sum()]), sums, features.T @ features)

    def weighing(self, objects: float) -> "Moments":
        """The same, counting as so many objects."""
        factor = objects / max(self.n.sum(), 1.0)
        return Moments(factor * self.n, factor * self.sums, factor * self.products)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.n + other.n, self.sums + other.sums, self.products + other.products)


@dataclass(frozen=True)
class Network:
    """log-odds of class 1 = weights . features + intercept, made `sharpness` times as sure as it should be."""

    weights: Floats  # (2,)
    intercept: float

    @classmethod
    def trained(cls, moments: Moments, sharpness: float) -> "Network":
        """Linear discriminant with the class ratio of its training set."""
        means = moments.sums / moments.n[:, None]
        within = (moments.products - means.T @ (moments.n[:, None] * means)) / (moments.n.sum() - 2)
        weights = np.linalg.solve(within, means[1] - means[0])
        intercept = np.log(moments.n[1] / moments.n[0]) - (means[0] + means[1]) @ weights / 2
        if weights[0] <= 0:
            raise ValueError("the network points away from the classes; label more, or separate them further")
        return cls(sharpness * weights, float(sharpness * intercept))

    def logit(self, features: Floats) -> Floats:
        """log-odds of class 1, (n,)."""
        return np.asarray(features @ self.weights.astype(features.dtype) + np.float32(self.intercept))

    def surest(self, separation: float, predicted: int) -> float:
        """Score of the predicted class 4.5 standard deviations beyond its centre."""
        side = 2 * predicted - 1
        return float(side * (self.weights[0] * side * (separation / 2 + 4.5) + self.intercept))

    def first_feature(self, logit: Floats, second: Floats) -> Floats:
        """Where along the first feature the score takes a value: (thresholds, nodes)."""
        return (np.reshape(logit, (-1, 1)) - self.intercept - self.weights[1] * second) / self.weights[0]


@dataclass(frozen=True)
class Cut:
    """What a round took: all with a logit of at most `low` as class 0, of at least `high` as class 1."""

    network: Network
    low: float
    high: float

    def takes(self, logit: Floats, predicted: int) -> Bools:
        return logit >= self.high if predicted else logit <= self.low

    def leaves(self, features: Floats) -> Bools:
        logit = self.network.logit(features)
        return (logit > self.low) & (logit < self.high)


@dataclass(frozen=True)
class Leftover:
    """The pool's population that earlier cuts have left, on nodes of the second feature."""

    sky: Sky
    cuts: tuple[Cut, ...]
    nodes: int

    @cached_property
    def _second(self) -> Floats:
        return self.sky.shift + np.linspace(-REACH, REACH, self.nodes)

    @cached_property
    def _weights(self) -> Floats:
        density = np.exp(-((self._second - self.sky.shift) ** 2) / 2)
        return density / density.sum()

    @cached_property
    def _limits(self) -> tuple[Floats, Floats]:
        """Of the first feature, (nodes,) each: the lines leave one interval at each node."""
        low, high = np.full(self.nodes, -np.inf), np.full(self.nodes, np.inf)
        for cut in self.cuts:
            low = np.maximum(low, cut.network.first_feature(np.array(cut.low), self._second)[0])
            high = np.minimum(high, cut.network.first_feature(np.array(cut.high), self._second)[0])
        return low, np.maximum(low, high)

    def masses(self, network: Network, predicted: int, logits: Floats) -> Floats:
        """Share of the whole population that is left and at or beyond each logit, by truth: (2, thresholds)."""
        low, high = self._limits
        at = np.clip(network.first_feature(logits, self._second), low, high)
        means = self.sky.means(self._second)
        found = [
            (ndtr(high - mean) - ndtr(at - mean) if predicted else ndtr(at - mean) - ndtr(low - mean)) @ self._weights
            for mean in means
        ]
        return np.asarray(self.sky.prior[:, None] * np.stack(found))

    def taken(self, predicted: int) -> Floats:
        """Share of the whole population that any of the cuts has taken as a class, by truth: (2,)."""
        low, high = self._limits
        if predicted:
            found = [1 - ndtr(high - mean) for mean in self.sky.means(self._second)]
        else:
            found = [ndtr(low - mean) for mean in self.sky.means(self._second)]
        return np.asarray(self.sky.prior * (np.stack(found) @ self._weights))

    @property
    def mass(self) -> float:
        low, high = self._limits
        means = self.sky.means(self._second)
        return float(self.sky.prior @ ((ndtr(high - means) - ndtr(low - means)) @ self._weights))
