"""One catalogue of known truth through its rounds: taught, calibrated, certified, promoted, and judged.

The rules are the program's, by its own functions. A network is taught by 240 of 300 labelled objects, and

* without `[teaching]` by all that was promoted before. What a round's cut takes leaves the pool and both halves of the
  calibration objects, so that these stay alike;
* with it (`Setting.whole`) by what the network before it predicts of the surest images, of pool and calibration objects
  alike. Each round certifies the whole pool anew.

The verdict is that of `known_truth`, which no half has seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from known_truth import COARSE, FINE, Bools, Cut, Floats, Leftover, Moments, Network, Sky
from scipy.special import bdtr, expit

from catbuilder.decisions.calibrator import Calibrator, fit_calibrator
from catbuilder.decisions.error_bounds import max_errors, zero_error_n
from catbuilder.decisions.sample_shift import density_weights, rejection_sample, two_sample_auc
from catbuilder.decisions.threshold_test import CalibrationSample, ClassCertificate, certify_class

DELTA, ROUNDS, CLASSES, STEPS = 0.05, 5, 2, 12  # the defaults of [certificate]
SHIFT_LIMIT = 0.8
POOLS = (2_000, 50_000, 1_000_000)
LABELLED, TAUGHT = 150, 240  # labelled objects a class; of all of them, those that teach in a round
SUREST = float(-np.log(1e-30))  # larger log-odds are not told apart: posteriors have a floor (`calibrate`)
SEEN = 2_000  # pool objects whose features are kept, the recipes' `pool_features`
SUREST_SHARE, IMAGES = 0.8, 4_000  # of the images of each class, those that teach; at most so many: `[teaching]`
THRESHOLDS = 49  # where the oracle looks, some 0.1 standard deviations apart

# A row is a class and round of a catalogue. `over`: the population's error rate is above alpha; `realized_over`: that
# of the labels promoted; `batch_over`: there are more wrong ones than the certificate says, for each of POOLS. `n`:
# certifying objects at or above the oracle's threshold, in units of the fewest that can show alpha. `labelled`: all
# that this and earlier rounds have taken, as a share of the first round's oracle's; `labelled_over`: its error rate is
# above alpha, which nobody promises.
ROW = np.dtype([
    ("setting", "i4"), ("catalogue", "i4"), ("rule", "U24"), ("round", "i4"), ("predicted", "i4"), ("promoted", "?"),
    ("over", "?"), ("realized_over", "?"), ("batch_over", "?", len(POOLS)), ("n", "f8"), ("yield", "f8"),
    ("attainable", "f8"), ("labelled", "f8"), ("labelled_over", "?"),
])  # fmt: skip
Row = tuple[object, ...]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Setting:
    """One line of the study."""

    alpha: float
    sky: Sky
    half: int  # calibration objects in each half
    sharpness: float = 1.0
    rounds: int = ROUNDS
    weighted: bool = False  # calibration objects are drawn to the pool's distribution where the two differ
    whole: bool = False  # promoted labels only assert, and each round certifies the whole pool
    like: int | None = None  # number of the setting whose skies it has

    @property
    def delta(self) -> float:
        """Of a class in a round."""
        return DELTA / (ROUNDS * CLASSES)

    @property
    def least(self) -> int:
        """Objects that show alpha if none is wrong."""
        return zero_error_n(self.alpha, self.delta)


@dataclass(frozen=True)
class Objects:
    """Features (n, 2) and truth of a sample; the first `small` of them make up the smallest pool."""

    features: Floats
    truth: Bools
    small: int = 0

    def __len__(self) -> int:
        return len(self.truth)

    def where(self, keep: Bools) -> "Objects":
        return Objects(self.features[keep], self.truth[keep], int(keep[: self.small].sum()))


def follow(setting: Setting, index: int, catalogue: int, seed: int) -> Iterator[Row]:
    """Every class and round of one catalogue, and what other rules would promote in its first round."""
    stream = index if setting.like is None else setting.like
    rng, sky = np.random.default_rng([seed, stream, catalogue]), setting.sky
    labelled = Objects(*sky.draw_equal(rng, LABELLED))
    fit, certify = (Objects(*sky.draw(rng, setting.half)) for _ in range(2))
    pool, largest = Objects(*sky.draw(rng, POOLS[1], sky.shift), small=POOLS[0]), POOLS[2]
    learned: Moments = Moments.none()  # promoted labels, or predictions that teach
    cuts: tuple[Cut, ...] = ()
    first: list[Oracle] = []
    for number in range(1, setting.rounds + 1):
        if min(len(fit), len(certify), len(pool)) == 0:
            return  # all is labelled
        taught = rng.permutation(2 * LABELLED)[:TAUGHT]
        teachers = Moments.of(labelled.features[taught], labelled.truth[taught]) + learned
        network = Network.trained(teachers, setting.sharpness)
        cut, certificates = certify_round(setting, network, fit, certify, pool, rng)
        about = () if setting.whole else cuts
        left, logit = Leftover(sky, about, FINE), network.logit(pool.features)
        oracles = [ask_oracle(setting, Leftover(sky, about, COARSE), network, p, certify) for p in range(CLASSES)]
        first = first or oracles
        for rule, other, size in peers(network, logit) if number == 1 and not setting.whole else ():
            for p, oracle in enumerate(oracles):
                found = judge(left, other, p, pool.truth[:size], logit[:size])
                row = found.row(setting.alpha, oracle, (False,) * len(POOLS))
                yield (index, catalogue, rule, number, p, *row, np.nan, False)
        found_of = [judge(left, cut, p, pool.truth, logit) for p in range(CLASSES)]
        drawn = draw_counts(rng, largest, left, found_of)
        every = Leftover(sky, (*cuts, cut), FINE)
        for p, (found, oracle, certificate) in enumerate(zip(found_of, oracles, certificates, strict=True)):
            few = judge(left, cut, p, pool.truth[: pool.small], logit[: pool.small])
            batches = ((few.batch, few.wrong), (found.batch, found.wrong), (int(drawn[p].sum()), int(drawn[p, 1 - p])))
            broken = tuple(batch > 0 and wrong > certificate.batch_errors(batch) for batch, wrong in batches)
            row = found.row(setting.alpha, oracle, broken)
            yield (index, catalogue, "certified", number, p, *row, *labelled_so_far(setting, every, p, first[p]))
        if setting.whole:
            learned = teach(rng, network, (fit, certify, pool))
        if not any(found.batch for found in found_of):
            continue
        cuts = (*cuts, cut)
        if setting.whole:
            continue
        taken = ~cut.leaves(pool.features)
        learned, largest = learned + Moments.of(pool.features[taken], logit[taken] > 0), largest - int(drawn.sum())
        fit, certify, pool = (sample.where(cut.leaves(sample.features)) for sample in (fit, certify, pool))


def labelled_so_far(setting: Setting, every: Leftover, predicted: int, oracle: "Oracle") -> tuple[float, bool]:
    """All that the cuts have taken as a class: as a share of an oracle's, and whether too much of it is wrong."""
    masses = every.taken(predicted)
    total = float(masses.sum())
    return total / oracle.mass if oracle.mass else np.nan, bool(masses[1 - predicted] > setting.alpha * total)


def teach(rng: np.random.Generator, network: Network, samples: tuple[Objects, ...]) -> Moments:
    """What the surest images teach by a network's predictions: those of calibration objects like the pool's."""
    features = np.concatenate([sample.features for sample in samples])
    logit = network.logit(features)
    chosen = []
    for mine in (np.flatnonzero(logit <= 0), np.flatnonzero(logit > 0)):
        order = mine[np.argsort(-np.abs(logit[mine]), kind="stable")]
        chosen.append(order[: int(np.ceil(SUREST_SHARE * len(order)))])
    drawn = rng.permutation(np.concatenate(chosen))[:IMAGES]
    return Moments.of(features[drawn], logit[drawn] > 0).weighing(TAUGHT)  # half of each batch


def certify_round(
    setting: Setting, network: Network, fit: Objects, certify: Objects, pool: Objects, rng: np.random.Generator
) -> tuple[Cut, list[ClassCertificate]]:
    """Calibrate and certify each class as the program does, and what that takes."""
    calibrator = fit_calibrator(posterior(network.logit(fit.features)), fit.truth.astype(np.int64))
    refused = False
    if setting.weighted:
        fit, certify, refused = like_the_pool(fit, certify, pool, rng)
    halves = [count(network, calibrator, half) for half in (fit, certify)]
    ratio = len(certify) / max(len(fit), 1)
    certificates = [
        certify_class(halves[0][p], halves[1][p], ratio, setting.alpha, setting.delta, STEPS) for p in range(CLASSES)
    ]
    low, high = (np.inf if refused or c.threshold is None else logit_of(c.threshold, calibrator) for c in certificates)
    return Cut(network, -low, high), certificates


def posterior(logit: Floats) -> Floats:
    """(n, 2) in single precision, as they are recorded."""
    return np.stack([expit(-logit), expit(logit)], axis=1).astype(np.float32)


def count(network: Network, calibrator: Calibrator, half: Objects) -> list[CalibrationSample]:
    """Calibration objects of each predicted class."""
    calibrated = calibrator(posterior(network.logit(half.features)))
    predicted = calibrated.argmax(axis=1)
    confidence = calibrated.max(axis=1).astype(np.float32)
    wrong = predicted != half.truth
    return [CalibrationSample(confidence[predicted == p], wrong[predicted == p]) for p in range(CLASSES)]


def logit_of(threshold: float, calibrator: Calibrator) -> float:
    """Raw log-odds of the predicted class from which a confidence rounds to the threshold or more."""
    single = np.float32(threshold)
    middle = (float(single) + float(np.nextafter(single, np.float32(0)))) / 2
    return min(max(float(np.log(middle / (1 - middle))) / calibrator.scale[0], 0.0), SUREST)


def like_the_pool(
    fit: Objects, certify: Objects, pool: Objects, rng: np.random.Generator
) -> tuple[Objects, Objects, bool]:
    """Both halves drawn to the distribution of the pool's features, and whether the two are too unlike for it."""
    both, seen = np.concatenate([fit.features, certify.features]), pool.features[:SEEN]
    meter = two_sample_auc(both, seen, seed=0)
    if meter.low <= 0.5 or meter.value > SHIFT_LIMIT:
        return fit, certify, meter.value > SHIFT_LIMIT
    kept = rejection_sample(density_weights(fit.features, seen, both), rng.random(len(both)))
    return fit.where(kept[: len(fit)]), certify.where(kept[len(fit) :]), False


@dataclass(frozen=True)
class Oracle:
    """The largest set above a threshold whose error rate is at most alpha, and how much of it a test can show."""

    mass: float  # share of the population; 0 where there is none
    n: float  # certifying objects in it, in units of the fewest that can show alpha
    attainable: float  # largest of (yield at a threshold) x (chance that an exact test of its n objects passes)


def ask_oracle(setting: Setting, left: Leftover, network: Network, predicted: int, certify: Objects) -> Oracle:
    """What could be taken of a class, if the truth were known."""
    logits = (2 * predicted - 1) * np.linspace(network.surest(setting.sky.separation, predicted), 0, THRESHOLDS)
    masses = left.masses(network, predicted, logits)
    total = masses.sum(axis=0)
    rate = np.where(total > 1e-7, masses[1 - predicted] / np.maximum(total, 1e-7), 1.0)
    keeps = np.flatnonzero(rate <= setting.alpha)
    if not len(keeps):
        return Oracle(0.0, 0.0, 0.0)
    last, after = keeps[-1], min(keeps[-1] + 1, THRESHOLDS - 1)
    part = 0.0 if last == after else (setting.alpha - rate[last]) / (rate[after] - rate[last])
    mass, logit = (float(x[last] + part * (x[after] - x[last])) for x in (total, logits))
    above = (2 * predicted - 1) * (network.logit(certify.features) - logit) >= 0
    n = np.floor(len(certify) * total[keeps] / left.mass).astype(np.int64)
    if n[-1] < setting.least:
        return Oracle(mass, above.sum() / setting.least, 0.0)
    allowed = max_errors(n, setting.alpha, setting.delta)
    power = np.where(allowed < 0, 0.0, bdtr(allowed.clip(0).astype(float), n, rate[keeps]))
    return Oracle(mass, above.sum() / setting.least, float((power * total[keeps]).max()) / mass)


@dataclass(frozen=True)
class Found:
    """The truth about what a cut takes of a class."""

    masses: Floats  # of the population by truth, (2,)
    error_rate: float
    batch: int
    wrong: int

    def row(self, alpha: float, oracle: Oracle, broken: tuple[bool, ...]) -> Row:
        """The columns of `ROW` from `promoted` on; the yield is of the oracle's, where it takes anything."""
        share = self.masses.sum() / oracle.mass if oracle.mass else np.nan
        realized = self.wrong > alpha * self.batch
        return (self.masses.sum() > 0, self.error_rate > alpha, realized, broken, oracle.n, share, oracle.attainable)


def judge(left: Leftover, cut: Cut, predicted: int, truth: Bools, logit: Floats) -> Found:
    """Error rate of the population, and errors among the pool objects that are taken."""
    at = cut.high if predicted else cut.low
    if np.isinf(at):
        return Found(np.zeros(CLASSES), 0.0, 0, 0)
    masses = left.masses(cut.network, predicted, np.array([at]))[:, 0]
    taken = cut.takes(logit, predicted)
    batch, of_class_1 = int(np.count_nonzero(taken)), int(np.count_nonzero(taken & truth))
    wrong = batch - of_class_1 if predicted else of_class_1
    return Found(masses, float(masses[1 - predicted] / max(masses.sum(), 1e-300)), batch, wrong)


def draw_counts(rng: np.random.Generator, objects: int, left: Leftover, found: list[Found]) -> Ints:
    """Objects that a cut takes of a pool that is not drawn one by one: (predicted, truth)."""
    shares = np.concatenate([f.masses for f in found]) / left.mass
    return rng.multinomial(objects, [*shares, max(0.0, 1 - shares.sum())])[:-1].reshape(CLASSES, 2)


def peers(network: Network, logit: Floats) -> Iterator[tuple[str, Cut, int]]:
    """Other rules: name, what they take, and of how many pool objects."""
    for confidence in (0.75, 0.95, 0.99):
        at = float(np.log(confidence / (1 - confidence)))
        yield f"confidence {confidence}", Cut(network, -at, at), len(logit)
    for size, k in ((POOLS[0], POOLS[0] // 10), (POOLS[1], 1_000)):
        low, high = np.partition(logit[:size], [k - 1, size - k])[[k - 1, size - k]]
        yield f"top_k, {k:,} of {size:,}", Cut(network, min(float(low), 0.0), max(float(high), 0.0)), size
    surest = float(np.partition(np.abs(logit), -2_000)[-2_000])
    yield "k_best, 2,000 of 50,000", Cut(network, -surest, surest), len(logit)
