"""Measure dataset shift between two samples of galaxies, and compute the weights that correct for it.

A certificate counts errors of calibration galaxies and bounds the error rate of the pool. That is valid as far as the
two samples are alike in the network's features. These meters use principal components and a logistic regression:
they take a second where a network would take minutes, always give the same answer, and have a few dozen parameters
where a sample may have a few hundred galaxies.

They see differences in the means and the spreads of the components, and no others. Like every meter on features, they
cannot see galaxies that look the same but belong to other classes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from astropy.stats import binom_conf_interval
from scipy.linalg import svdvals
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import ThreadpoolController

Floats = npt.NDArray[np.floating]

MIN_SAMPLE = 20  # objects in each sample; with fewer a meter says nothing worth recording

# Largest number of components. With 32 and their squares, 300 galaxies have about five objects per coefficient, and 32
# captured the shift of every sample tried; 512 features would fit the noise.
MAX_COMPONENTS = 32
OBJECTS_A_COMPONENT = 5

# With so few features there is nothing to reduce and little to overfit, so `density_weights` skips the components and
# the choice of a penalty (10 ms for 5,000 + 5,000 objects of 2 features).
FEW_FEATURES = 8
PENALTIES = (0.0001, 0.001, 0.01, 0.1, 1.0)  # scikit-learn's C: the smaller it is, the nearer all weights are to 1

FOLDS = 5
PERMUTATIONS = 40  # the fewest for which the 2.5th and 97.5th percentiles are not just the extremes

_LIBRARIES = ThreadpoolController()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run linear algebra on one thread, so that sums, and with them certificates, are the same to the last bit.

    It is also faster on shared cores, because OpenBLAS's threads wait for one another in busy loops.
    """
    with _LIBRARIES.limit(limits=1):
        yield


@dataclass(frozen=True)
class Interval:
    """A value with the lower and upper ends of its 95 per cent interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FrechetDistance:
    """A Fréchet distance, with the distance that two samples of these sizes have by chance if nothing differs."""

    distance: float
    noise: Interval  # the mean over random regroupings, and the range of the middle 95 per cent of them


@_one_thread()
def two_sample_auc(a: Floats, b: Floats, seed: int) -> Interval:
    """Compute the ROC AUC of a classifier that tells `b` from `a`: 0.5 if it cannot, 1 if it always can.

    This is the classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545). A logistic regression that has
    not seen an object classifies it (5 folds, drawn by `seed`), on principal components and their squares fitted within
    the fold. The interval is that of Newcombe (2006, part 2, method 5): it uses Hanley & McNeil's variance (1982) at
    the interval's own end, so it has a width even if the samples are separated without an error. It treats the five
    classifiers as one; for samples that do not differ it contained 0.5 in 9 of 10 trials.

    Parameters
    ----------
    a, b : float (n_a, d) and (n_b, d), at least 5 objects each
    """
    x, is_b = _stacked(a, b)
    components = _pca(len(a), len(b), x.shape[1], whiten=True)
    classifier = make_pipeline(StandardScaler(), components, _squared(), _logistic(penalty=0.01))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(classifier, x, is_b, cv=folds, method="decision_function")
    return _auc_interval(float(roc_auc_score(is_b, scores)), len(a), len(b))


@_one_thread()
def frechet_distance(a: Floats, b: Floats) -> FrechetDistance:
    """Compute the Fréchet distance of two samples as if each were Gaussian (Dowson & Landau 1982), with its noise.

    It uses the joint principal components of the features, after each feature is divided by its standard deviation over
    both samples: a distance of 1 is like shifting one feature by one standard deviation. The distance is never 0, and
    grows as samples shrink; `noise` is its value when the objects are assigned to the two samples at random.

    Parameters
    ----------
    a, b : float (n_a, d) and (n_b, d)
    """
    x, _ = _stacked(a, b)
    scaled = StandardScaler().fit_transform(x)
    z = _pca(len(a), len(b), x.shape[1], whiten=False).fit_transform(scaled)
    rng = np.random.default_rng(0)
    regrouped = [z[rng.permutation(len(z))] for _ in range(PERMUTATIONS)]
    noise = np.array([_frechet(mixed[: len(a)], mixed[len(a) :]) for mixed in regrouped])
    low, high = np.quantile(noise, [0.025, 0.975])
    return FrechetDistance(_frechet(z[: len(a)], z[len(a) :]), Interval(float(noise.mean()), float(low), float(high)))


def prior_drift(predicted_a: npt.ArrayLike, predicted_b: npt.ArrayLike, classes: Sequence[str]) -> dict[str, Interval]:
    """Compute the share of each predicted class in `b` minus that in `a`, with Newcombe's interval (1998, method 10).

    Parameters
    ----------
    predicted_a, predicted_b : class names (n_a,) and (n_b,), at least one object each
    """
    drift = {}
    for name in classes:
        (p, p_low, p_high), (q, q_low, q_high) = (_share(sample, name) for sample in (predicted_a, predicted_b))
        down, up = np.hypot(q - q_low, p_high - p), np.hypot(q_high - q, p - p_low)
        drift[name] = Interval(q - p, float(q - p - down), float(q - p + up))
    return drift


@_one_thread()
def density_weights(calibration_fit: Floats, pool: Floats, evaluate_at: Floats) -> npt.NDArray[np.float64]:
    """Estimate the density ratio of pool to calibration set at given points; 1 on average over `calibration_fit`.

    The odds of a logistic regression that tells the two samples apart are the ratio of their densities (Sugiyama,
    Suzuki & Kanamori 2012, chapter 4). The squares of the features are used too, because the logarithm of the ratio of
    two normal densities is quadratic. More than 8 features are reduced to principal components; cross-validation then
    chooses the penalty, and whether squares are used. If nothing differs it chooses the strongest penalty, and the
    weights are nearly 1. With few objects it also chooses a strong penalty, and the weights correct only a part of the
    shift.

    Parameters
    ----------
    calibration_fit, pool : float (n, d) and (m, d), the samples to learn the ratio from; at least 5 objects each
    evaluate_at : float (k, d); objects that will be counted must not be among those learnt from

    Returns
    -------
    float64 (k,), all positive
    """
    x, is_pool = _stacked(calibration_fit, pool)
    if x.shape[1] <= FEW_FEATURES:
        reduce, classifier = StandardScaler(), make_pipeline(_squared(), _logistic(penalty=1.0))
        z = reduce.fit_transform(x)
    else:
        reduce = make_pipeline(StandardScaler(), _pca(len(calibration_fit), len(pool), x.shape[1], whiten=True))
        z = reduce.fit_transform(x)
        classifier = _best_classifier(z, is_pool)
    classifier.fit(z, is_pool)
    at_fit = classifier.decision_function(z[: len(calibration_fit)])
    # in logarithms, because the odds of a distant point overflow
    log_mean = logsumexp(at_fit) - np.log(len(at_fit))
    here = classifier.decision_function(reduce.transform(np.asarray(evaluate_at, np.float64)))
    weights: npt.NDArray[np.float64] = np.exp(here - log_mean)
    return weights


def rejection_sample(weights: npt.NDArray[np.float64], draws: Floats) -> npt.NDArray[np.bool_]:
    """Choose objects so that those kept are distributed like the pool: rejection sampling (von Neumann 1951).

    Parameters
    ----------
    weights : (n,), ratio of the wanted density to the present one at each object
    draws : (n,), uniform in [0, 1) and constant for each object, such as a hash of its id

    Returns
    -------
    bool (n,), whether each object is kept; on average one in max(weights) / mean(weights) is
    """
    kept: npt.NDArray[np.bool_] = draws * np.max(weights, initial=0.0) <= weights
    return kept


def _stacked(a: Floats, b: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Stack both samples, and mark the rows of `b`."""
    return np.vstack([a, b]).astype(np.float64), np.arange(len(a) + len(b)) >= len(a)


def _pca(n_a: int, n_b: int, features: int, *, whiten: bool) -> PCA:
    components = min(MAX_COMPONENTS, features, max(1, min(n_a, n_b) // OBJECTS_A_COMPONENT))
    return PCA(components, whiten=whiten, svd_solver="auto", random_state=0)


def _squared() -> Pipeline:
    """Add the squares of standardised features, and standardise again."""
    return make_pipeline(FunctionTransformer(_with_squares), StandardScaler())


def _with_squares(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.hstack([z, z**2])


def _logistic(penalty: float) -> LogisticRegression:
    # with many objects and few features newton-cholesky takes a third of the default solver's time
    return LogisticRegression(C=penalty, class_weight="balanced", solver="newton-cholesky")


def _best_classifier(z: npt.NDArray[np.float64], is_b: npt.NDArray[np.bool_]) -> Pipeline:
    """Choose the classifier with the smallest cross-validated loss, both samples weighted alike; ties: the simplest."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)

    def loss(classifier: Pipeline) -> float:
        odds = cross_val_predict(classifier, z, is_b, cv=folds, method="decision_function")
        surprise = np.logaddexp(0.0, np.where(is_b, -odds, odds))
        return float(surprise[is_b].mean() + surprise[~is_b].mean())

    expansions = ("passthrough", _squared())
    return min((make_pipeline(e, _logistic(c)) for e in expansions for c in PENALTIES), key=loss)


def _auc_interval(auc: float, n_a: int, n_b: int) -> Interval:
    """Find the areas whose own standard error, times 1.96, reaches the measured one."""
    z = norm.ppf(0.975)

    def beyond(area: float) -> float:
        per_pair = (n_a + n_b) / 2 - 1
        spread = 1 + per_pair * ((1 - area) / (2 - area) + area / (1 + area))
        return abs(auc - area) - z * float(np.sqrt(area * (1 - area) * spread / (n_a * n_b)))

    # The standard error is 0 at areas 0 and 1, so the sign changes between each of them and the value. The value itself
    # may be 0 or 1, where the search would end at once.
    low = brentq(beyond, 0.0, auc * (1 - 1e-9)) if auc > 0 else 0.0
    high = brentq(beyond, 1 - (1 - auc) * (1 - 1e-9), 1.0) if auc < 1 else 1.0
    return Interval(auc, float(low), float(high))


def _frechet(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    between = a.mean(axis=0) - b.mean(axis=0)
    r_a, r_b = (np.linalg.qr(x - x.mean(axis=0), mode="r") / np.sqrt(len(x) - 1) for x in (a, b))
    # With covariances C = R'R, the trace of the root of their product is the sum of the singular values of R_a R_b'.
    # This takes no root of a matrix that rounding may have made indefinite.
    across = svdvals(r_a @ r_b.T).sum()
    squared = between @ between + (r_a**2).sum() + (r_b**2).sum() - 2 * across
    return float(np.sqrt(max(squared, 0.0)))


def _share(sample: npt.ArrayLike, name: str) -> tuple[float, float, float]:
    """Compute the share of a class with Wilson's interval: value, low, high."""
    here = np.asarray(sample) == name
    low, high = binom_conf_interval(int(here.sum()), len(here), confidence_level=0.95, interval="wilson")
    return float(here.mean()), float(low), float(high)
