"""Exact bounds on error rates, from errors counted among objects whose truth is known.

Two populations must not be confused. The *population* bound is about all objects that could ever stand above a
threshold: a binomial tail (Clopper & Pearson 1934). The *batch* bound is about the objects that do: how many of this
very batch are wrong. A batch of 2,000 scatters about its population, so that a population bound of 1 per cent can hold
and the batch still have 1.3 per cent of errors.
"""

import math
from bisect import bisect_left

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrik, betainccinv, gammaln


def zero_error_n(alpha: float, delta: float) -> int:
    """Objects without any error that show, with probability 1 - `delta`, an error rate of at most `alpha`.

    For two classes corrected together, 1 per cent at 95 per cent: zero_error_n(0.01, 0.05 / 2) is 368.
    """
    n = math.ceil(math.log(delta) / math.log1p(-alpha))
    return n if (1 - alpha) ** n <= delta else n + 1  # the quotient of two logarithms may round down


def is_shown(errors: npt.ArrayLike, n: npt.ArrayLike, alpha: float, delta: float) -> npt.NDArray[np.bool_]:
    """Whether so few errors among n reject "the error rate is above `alpha`" at level `delta`: exact binomial tail."""
    return np.asarray(bdtr(np.asarray(errors, float), np.asarray(n), alpha) <= delta)


def most_errors(n: npt.ArrayLike, alpha: float, delta: float) -> npt.NDArray[np.int64]:
    """The largest number of errors among n that `is_shown` accepts; -1 where not even none is enough."""
    n = np.asarray(n)
    # bdtrik gives the real number at which the tail reaches delta, nothing where it lies below that of no error
    k = np.floor(np.nan_to_num(bdtrik(delta, n, alpha), nan=-1.0)).astype(np.int64)
    k = k + is_shown(k + 1, n, alpha, delta)  # both against the last digit
    return np.where((k >= 0) & is_shown(np.maximum(k, 0), n, alpha, delta), k, k - 1).clip(-1)


def population_bound(errors: int, n: int, delta: float) -> float:
    """Upper bound of the error rate at confidence 1 - `delta` (Clopper & Pearson 1934, one-sided); 1 for n = 0."""
    return 1.0 if errors >= n else float(betainccinv(errors + 1, n - errors, delta))


def batch_bound(errors: int, n: int, batch: int, delta: float) -> int:
    """Most wrong labels in a batch, at confidence 1 - `delta`, given `errors` among n objects exchangeable with it.

    The largest K with P(at least K wrong in the batch) > delta under the beta-binomial law of `batch` draws with
    parameters errors + 1 and n - errors. It is exact: the same tail is that of n objects drawn without replacement
    from n + batch of which errors + K are wrong (Johnson, Kemp & Kotz 2005, section 6.2), whatever the error rate.
    """
    counted = np.arange(errors + 1)
    ways = _log_choose(n, counted)

    # Not scipy.stats.hypergeom: of fewer than 10^5 objects it factorises into primes, which takes 20 times as long.
    def is_refuted(wrong: int) -> bool:
        among = errors + wrong - counted  # of the batch, should so many of the n be wrong
        terms = ways + _log_choose(batch, among) - _log_choose(n + batch, np.array(errors + wrong))
        return bool(np.exp(terms).sum() <= delta)

    return bisect_left(range(batch + 1), True, key=is_refuted) - 1


def _log_choose(n: int, k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Logarithm of the binomial coefficient; minus infinity for k > n."""
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
