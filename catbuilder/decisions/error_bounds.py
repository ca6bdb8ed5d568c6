"""Compute exact bounds on error rates from errors counted among objects of known class.

There are two bounds. The *population* bound limits the error rate of all objects that could ever lie above a threshold,
by a binomial tail (Clopper & Pearson 1934). The *batch* bound limits how many objects of one given batch are wrong. A
batch of 2,000 scatters about its population: a population bound of 1 per cent can hold while 1.3 per cent of the batch
are wrong.
"""

import math
from bisect import bisect_left

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrik, betainccinv, gammaln


def zero_error_n(alpha: float, delta: float) -> int:
    """Compute how many objects without any error show an error rate of at most `alpha` at confidence 1 - `delta`.

    Example: 1 per cent at 95 per cent confidence for two classes together is zero_error_n(0.01, 0.05 / 2), which is
    368.
    """
    n = max(1, math.floor(math.log(delta) / math.log1p(-alpha)))
    while not passes_binomial_test(0, n, alpha, delta):  # the quotient of two logarithms is rounded
        n += 1
    return n


def passes_binomial_test(errors: npt.ArrayLike, n: npt.ArrayLike, alpha: float, delta: float) -> npt.NDArray[np.bool_]:
    """Test whether so few errors among n reject "the error rate is above `alpha`" at level `delta`.

    The test is the exact lower tail of the binomial distribution.
    """
    return np.asarray(bdtr(np.asarray(errors, float), np.asarray(n), alpha) <= delta)


def max_errors(n: npt.ArrayLike, alpha: float, delta: float) -> npt.NDArray[np.int64]:
    """Compute the largest number of errors among n that `passes_binomial_test` accepts; -1 if even 0 fails."""
    n = np.asarray(n)
    # bdtrik gives the real number at which the tail reaches delta, and NaN if even no error has a larger tail
    k = np.floor(np.nan_to_num(bdtrik(delta, n, alpha), nan=-1.0)).astype(np.int64)
    k = k + passes_binomial_test(k + 1, n, alpha, delta)  # this and the next line correct rounding errors
    return np.where((k >= 0) & passes_binomial_test(np.maximum(k, 0), n, alpha, delta), k, k - 1).clip(-1)


def population_bound(errors: int, n: int, delta: float) -> float:
    """Compute the upper bound of the error rate at confidence 1 - `delta`; 1 for n = 0.

    It is the one-sided bound of Clopper & Pearson (1934).
    """
    return 1.0 if errors >= n else float(betainccinv(errors + 1, n - errors, delta))


def batch_bound(errors: int, n: int, batch: int, delta: float) -> int:
    """Compute an upper bound, at confidence 1 - `delta`, on the number of wrong labels in a batch.

    It is the largest K with P(at least K wrong in the batch) > delta under the beta-binomial law of `batch` draws with
    parameters errors + 1 and n - errors. It is exact, whatever the error rate: the same tail is that of n objects drawn
    without replacement from n + batch of which errors + K are wrong (Johnson, Kemp & Kotz 2005, section 6.2).

    Parameters
    ----------
    errors, n : wrong ones among n objects that are exchangeable with the batch
    batch : number of objects in the batch
    """
    counted = np.arange(errors + 1)
    ways = _log_choose(n, counted)

    # Not scipy.stats.hypergeom: below 10^5 objects it factorises into primes, which takes 20 times as long.
    def is_refuted(wrong: int) -> bool:
        among = errors + wrong - counted  # wrong ones in the batch, for each number of wrong ones among the n
        terms = ways + _log_choose(batch, among) - _log_choose(n + batch, np.array(errors + wrong))
        return bool(np.exp(terms).sum() <= delta)

    return bisect_left(range(batch + 1), True, key=is_refuted) - 1


def _log_choose(n: int, k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Compute the logarithm of the binomial coefficient; minus infinity for k > n."""
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
