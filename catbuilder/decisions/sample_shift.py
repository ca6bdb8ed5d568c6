"""Shift meters: whether two samples of galaxies are alike, how far they are apart, what weights would make them alike.

A certificate counts the errors of calibration galaxies and speaks of the pool; that holds as far as the two are alike
in what the network sees. Plain statistics on its features tell: linear components and a logistic regression, which
take a second where a network would take minutes, give the same answer every time, and have a few dozen parameters
where a sample may have a few hundred galaxies. What neither the means nor the spreads of these components show, they
do not see. Nor do they see galaxies whose looks are the same and whose classes are not: no meter on features can.
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

FEWEST = 20  # objects in each sample below which a meter says nothing worth recording

# Components of the features at most. Thirty-two and their squares leave 300 galaxies some five a coefficient, and held
# the shift of every sample looked at; 512 features would fit the noise.
MAX_COMPONENTS = 32
OBJECTS_A_COMPONENT = 5

# With so few features there is nothing to reduce and little to overfit: `density_weights` then skips components and
# the choice of a penalty (10 ms for 5,000 + 5,000 objects of 2 features).
FEW_FEATURES = 8
PENALTIES = (0.0001, 0.001, 0.01, 0.1, 1.0)  # scikit-learn's C: the smaller, the nearer are all weights to 1

FOLDS = 5
PERMUTATIONS = 40  # the least for which a range from the 2.5th to the 97.5th percentile is more than the extremes

_LIBRARIES = ThreadpoolController()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Linear algebra on one thread: sums split otherwise differ in the last bits, and with them what is certified.

    It is faster too where others use the cores: OpenBLAS's threads wait for one another by spinning.
    """
    with _LIBRARIES.limit(limits=1):
        yield


@dataclass(frozen=True)
class Interval:
    """A value with the lower and upper end of its 95 per cent interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Frechet:
    """A Fréchet distance, and what two samples of the same sizes have of it by chance where nothing differs."""

    distance: float
    noise: Interval  # the mean over random regroupings, and the range of the middle 95 per cent of them


@_one_thread()
def two_sample_auc(a: Floats, b: Floats, seed: int) -> Interval:
    """Area under the ROC curve of a classifier that tells `b` from `a`: 0.5 where it cannot, 1 where it always can.

    The classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545): every object is judged by a logistic
    regression that has not seen it (5 folds, drawn by `seed`), on principal components and their squares, which are
    fitted within the fold. The interval is that of Newcombe (2006, part 2, method 5): Hanley & McNeil's variance (1982)
    at the interval's own end, so that it keeps a width where the samples are told apart without an error. It takes the
    five classifiers for one: of samples that differ in nothing it was found to hold 0.5 in 9 of 10.

    Parameters
    ----------
    a, b : float (n_a, d) and (n_b, d), 5 objects each at least
    """
    x, is_b = _stacked(a, b)
    components = _pca(len(a), len(b), x.shape[1], whiten=True)
    classifier = make_pipeline(StandardScaler(), components, _squared(), _logistic(penalty=0.01))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(classifier, x, is_b, cv=folds, method="decision_function")
    return _auc_interval(float(roc_auc_score(is_b, scores)), len(a), len(b))


@_one_thread()
def frechet_distance(a: Floats, b: Floats) -> Frechet:
    """Fréchet distance of two samples as if each were Gaussian (Dowson & Landau 1982), with its noise.

    It is taken on the joint principal components of the features, each divided by its standard deviation over both
    samples: a distance of 1 is like moving one feature by one standard deviation. It is never 0, and grows as samples
    shrink; `noise` is what is left when the objects are dealt out to the two samples at random.

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
    return Frechet(_frechet(z[: len(a)], z[len(a) :]), Interval(float(noise.mean()), float(low), float(high)))


def prior_drift(predicted_a: npt.ArrayLike, predicted_b: npt.ArrayLike, classes: Sequence[str]) -> dict[str, Interval]:
    """Share of each predicted class in `b` less that in `a`, with Newcombe's interval (1998, method 10).

    Parameters
    ----------
    predicted_a, predicted_b : class names (n_a,) and (n_b,), one object each at least
    """
    drift = {}
    for name in classes:
        (p, p_low, p_high), (q, q_low, q_high) = (_share(sample, name) for sample in (predicted_a, predicted_b))
        down, up = np.hypot(q - q_low, p_high - p), np.hypot(q_high - q, p - p_low)
        drift[name] = Interval(q - p, float(q - p - down), float(q - p + up))
    return drift


@_one_thread()
def density_weights(calibration_fit: Floats, pool: Floats, evaluate_at: Floats) -> npt.NDArray[np.float64]:
    """How much denser the pool is than the calibration set at given points; 1 on average over `calibration_fit`.

    The odds of a logistic regression that tells the two apart are the ratio of their densities (Sugiyama, Suzuki &
    Kanamori 2012, chapter 4). Squares of the features stand beside them, as the logarithm of the ratio of two normal
    densities is quadratic. More than 8 features are reduced to principal components, and what best predicts objects
    left out is taken: with the squares or without, and which penalty. Where nothing differs that is the strongest
    one, and the weights are nearly 1; where objects are few too, and the weights then make up for a part of the shift.

    Parameters
    ----------
    calibration_fit, pool : float (n, d) and (m, d), what the ratio is learnt from; 5 objects each at least
    evaluate_at : float (k, d); the objects that will be counted must not be among those learnt from

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
    # by logarithms: the odds of a far point overflow
    log_mean = logsumexp(at_fit) - np.log(len(at_fit))
    here = classifier.decision_function(reduce.transform(np.asarray(evaluate_at, np.float64)))
    weights: npt.NDArray[np.float64] = np.exp(here - log_mean)
    return weights


def rejection_sample(weights: npt.NDArray[np.float64], draws: Floats) -> npt.NDArray[np.bool_]:
    """Which objects stay so that those that do are distributed like the pool: rejection sampling (von Neumann 1951).

    Parameters
    ----------
    weights : (n,), the density that is wanted over the one there is, at each object
    draws : (n,), uniform in [0, 1); each object's own for ever, such as a hash of its id

    Returns
    -------
    bool (n,); on average one in max(weights) / mean(weights)
    """
    kept: npt.NDArray[np.bool_] = draws * np.max(weights, initial=0.0) <= weights
    return kept


def _stacked(a: Floats, b: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Both samples under one another, and which rows are of `b`."""
    return np.vstack([a, b]).astype(np.float64), np.arange(len(a) + len(b)) >= len(a)


def _pca(n_a: int, n_b: int, features: int, *, whiten: bool) -> PCA:
    components = min(MAX_COMPONENTS, features, max(1, min(n_a, n_b) // OBJECTS_A_COMPONENT))
    return PCA(components, whiten=whiten, svd_solver="auto", random_state=0)


def _squared() -> Pipeline:
    """Each standardised feature, and its square, standardised anew."""
    return make_pipeline(FunctionTransformer(_with_squares), StandardScaler())


def _with_squares(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.hstack([z, z**2])


def _logistic(penalty: float) -> LogisticRegression:
    # newton-cholesky takes a third of the time of the default solver where objects are many and features few
    return LogisticRegression(C=penalty, class_weight="balanced", solver="newton-cholesky")


def _best_classifier(z: npt.NDArray[np.float64], is_b: npt.NDArray[np.bool_]) -> Pipeline:
    """The one with the least cross-validated loss, both samples counting alike; the simplest of equals."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)

    def loss(classifier: Pipeline) -> float:
        odds = cross_val_predict(classifier, z, is_b, cv=folds, method="decision_function")
        surprise = np.logaddexp(0.0, np.where(is_b, -odds, odds))
        return float(surprise[is_b].mean() + surprise[~is_b].mean())

    expansions = ("passthrough", _squared())
    return min((make_pipeline(e, _logistic(c)) for e in expansions for c in PENALTIES), key=loss)


def _auc_interval(auc: float, n_a: int, n_b: int) -> Interval:
    """The areas from which the one found is at most 1.96 of their own standard errors away."""
    z = norm.ppf(0.975)

    def beyond(area: float) -> float:
        per_pair = (n_a + n_b) / 2 - 1
        spread = 1 + per_pair * ((1 - area) / (2 - area) + area / (1 + area))
        return abs(auc - area) - z * float(np.sqrt(area * (1 - area) * spread / (n_a * n_b)))

    # at 0 and 1 the standard error is 0, so that the sign changes between them and the value; the value itself may be
    # 0 or 1, where the search would end at once
    low = brentq(beyond, 0.0, auc * (1 - 1e-9)) if auc > 0 else 0.0
    high = brentq(beyond, 1 - (1 - auc) * (1 - 1e-9), 1.0) if auc < 1 else 1.0
    return Interval(auc, float(low), float(high))


def _frechet(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    between = a.mean(axis=0) - b.mean(axis=0)
    r_a, r_b = (np.linalg.qr(x - x.mean(axis=0), mode="r") / np.sqrt(len(x) - 1) for x in (a, b))
    # With C = R'R for both, the trace of the root of their product is the sum of the singular values of R_a R_b': no
    # root of a matrix that rounding has made indefinite.
    across = svdvals(r_a @ r_b.T).sum()
    squared = between @ between + (r_a**2).sum() + (r_b**2).sum() - 2 * across
    return float(np.sqrt(max(squared, 0.0)))


def _share(sample: npt.ArrayLike, name: str) -> tuple[float, float, float]:
    """Share of a class with Wilson's interval."""
    here = np.asarray(sample) == name
    low, high = binom_conf_interval(int(here.sum()), len(here), confidence_level=0.95, interval="wilson")
    return float(here.mean()), float(low), float(high)
