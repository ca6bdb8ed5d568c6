"""Measure how far two classifications, or two annotators, agree: share, Cohen's kappa, and their intervals.

Two people who call four galaxies of five spiral agree on two thirds of them by chance alone. Kappa (Cohen 1960) is the
agreement beyond that, as a share of what was left to agree on: 1 is perfect, 0 is chance.

Agreement is not accuracy. Where two catalogues agree both may be wrong, and where they differ neither is the truth.
"""

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_DRAWS = 4000
_SEED = 20190509  # of the draws: the same counts give the same interval

AGREEMENT = pa.schema(
    [
        ("annotator_a", pa.string()),
        ("annotator_b", pa.string()),
        ("objects", pa.int64()),  # that both have labelled
        ("same", pa.float64()),  # share of these to which both gave the same class
        ("kappa", pa.float64()),  # NULL where both gave one and the same class to all: chance agrees as well
    ]
)


@dataclass(frozen=True)
class Agreement:
    """What a confusion matrix says of two classifications; each interval covers 95 per cent."""

    n: int
    agreement: float | None  # share of the objects that both put into the same class
    low: float
    high: float
    kappa: float | None  # None where both put everything into one and the same class
    kappa_low: float | None
    kappa_high: float | None


def agreement_of(counts: npt.ArrayLike) -> Agreement:
    """Agreement of two classifications of the same n objects.

    The share has Wilson's interval. That of Cohen's kappa (Cohen 1960) is the central 95 per cent of its posterior
    where each cell of the matrix has the prior Dirichlet(2 / classes^2): that of Jeffreys, 1/2, for two classes, and
    of the same weight, two objects, for more of them; 1/2 a cell would invent 50 objects of ten classes, of which 45
    disagree. A bootstrap of a matrix without any disagreement would have no width, as if a few objects proved that
    there never is one.

    Parameters
    ----------
    counts : int (classes, classes), objects by the class of the one and of the other
    """
    from catbuilder.decisions.measures import proportion  # scikit-learn: a second that the web page need not wait for

    matrix = np.asarray(counts, np.int64)
    n, same = int(matrix.sum()), int(np.trace(matrix))
    share = proportion("agreement", same, n, 1.0)
    kappa = _kappa(matrix[np.newaxis] / max(n, 1))[0]
    if not np.isfinite(kappa):
        return Agreement(n, share.value, share.low or 0.0, share.high or 1.0, None, None, None)
    random = np.random.default_rng(_SEED)
    drawn = random.dirichlet(matrix.ravel() + 2 / matrix.size, _DRAWS).reshape(-1, *matrix.shape)
    low, high = np.quantile(_kappa(drawn), (0.025, 0.975))
    # the posterior of a matrix on the edge of what is possible may lie beside it
    ends = min(float(low), float(kappa)), max(float(high), float(kappa))
    return Agreement(n, share.value, share.low or 0.0, share.high or 1.0, float(kappa), *ends)


def annotator_agreement(workspace: Workspace) -> pa.Table:
    """Compute Cohen's kappa of each two annotators who have labelled the same objects.

    Only standing labels of source human with an annotator's name count; "not sure" is no label.

    Returns
    -------
    A row a pair, with the columns of `AGREEMENT`.
    """
    with workspace.reading() as con:
        cells = fetch_arrow(con, query("active_learning/annotators")).to_pylist()
    rows = []
    for pair, of_pair in groupby(cells, key=itemgetter("annotator_a", "annotator_b")):
        counts = list(of_pair)
        objects = sum(cell["objects"] for cell in counts)
        same = sum(cell["objects"] for cell in counts if cell["label_a"] == cell["label_b"])
        row = {"objects": objects, "same": same / objects, "kappa": _kappa_of_pair(counts)}
        rows.append(dict(zip(AGREEMENT.names[:2], pair, strict=True)) | row)
    return pa.Table.from_pylist(rows, schema=AGREEMENT)


def _kappa_of_pair(cells: list[dict[str, Any]]) -> float | None:
    """Cohen's kappa of one pair's counts by class and class; None where both gave one and the same class to all."""
    names = sorted({cell[side] for cell in cells for side in ("label_a", "label_b")})
    matrix = np.zeros((1, len(names), len(names)))
    for cell in cells:
        matrix[0, names.index(cell["label_a"]), names.index(cell["label_b"])] = cell["objects"]
    kappa = float(_kappa(matrix / matrix.sum())[0])
    return None if np.isnan(kappa) else kappa


def _kappa(shares: Floats) -> Floats:
    """Cohen's kappa of each matrix of shares, (m, classes, classes); NaN where chance alone would always agree."""
    observed = np.trace(shares, axis1=1, axis2=2)
    expected = (shares.sum(1) * shares.sum(2)).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa: Floats = np.where(expected < 1 - 1e-12, (observed - expected) / (1 - expected), np.nan)
    return np.where(shares.sum((1, 2)) > 0, kappa, np.nan)
