"""Measure the agreement of two classifications or two annotators: share, Cohen's kappa, and their intervals.

Two people who each call 80 per cent of galaxies spiral agree on 68 per cent of them by chance alone. Kappa (Cohen 1960)
is the agreement above chance, divided by the largest possible agreement above chance: 1 is perfect, 0 is chance.

Agreement is not accuracy. Two catalogues that agree may both be wrong, and neither of two that differ is the truth.
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
_SEED = 20190509  # fixed, so that the same counts give the same interval

AGREEMENT = pa.schema(
    [
        ("annotator_a", pa.string()),
        ("annotator_b", pa.string()),
        ("objects", pa.int64()),  # labelled by both
        ("same", pa.float64()),  # share of these with the same class from both
        ("kappa", pa.float64()),  # NULL if both gave every object the same class: chance agrees as well
    ]
)


@dataclass(frozen=True)
class Agreement:
    """Agreement of two classifications of the same objects, with 95 per cent intervals."""

    n: int
    agreement: float | None  # share of the objects with the same class in both
    low: float
    high: float
    kappa: float | None  # None if both give every object the same class
    kappa_low: float | None
    kappa_high: float | None


def measure_agreement(counts: npt.ArrayLike) -> Agreement:
    """Compute the agreement of two classifications of the same objects from their confusion matrix.

    The share has Wilson's interval. The interval of Cohen's kappa (Cohen 1960) is the central 95 per cent of its
    posterior under the prior Dirichlet(2 / classes^2). For two classes this is Jeffreys' prior, 1/2 a cell. For more
    classes it keeps the same total weight, two objects: 1/2 a cell would add 50 objects for ten classes, 45 of them
    disagreements. A bootstrap is not used: without any disagreement in the matrix its interval has no width.

    Parameters
    ----------
    counts : int (classes, classes), objects by their class in the first and in the second classification
    """
    from catbuilder.decisions.measures import proportion  # scikit-learn takes a second to import

    matrix = np.asarray(counts, np.int64)
    n, same = int(matrix.sum()), int(np.trace(matrix))
    share = proportion("agreement", same, n, 1.0)
    kappa = _kappa(matrix[np.newaxis] / max(n, 1))[0]
    if not np.isfinite(kappa):
        return Agreement(n, share.value, share.low or 0.0, share.high or 1.0, None, None, None)
    random = np.random.default_rng(_SEED)
    drawn = random.dirichlet(matrix.ravel() + 2 / matrix.size, _DRAWS).reshape(-1, *matrix.shape)
    low, high = np.quantile(_kappa(drawn), (0.025, 0.975))
    # the posterior of a matrix with empty cells may exclude the estimate itself
    ends = min(float(low), float(kappa)), max(float(high), float(kappa))
    return Agreement(n, share.value, share.low or 0.0, share.high or 1.0, float(kappa), *ends)


def annotator_agreement(workspace: Workspace) -> pa.Table:
    """Compute Cohen's kappa for each pair of annotators who labelled some of the same objects.

    Only standing labels of source human with an annotator's name count. "Not sure" is not a label.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.

    Returns
    -------
    pyarrow.Table
        A row for each pair: annotator_a, annotator_b, objects (number labelled by both), same (fraction of these with
        the same class from both), kappa (null if both gave every object the same class).

    Examples
    --------
    >>> catbuilder.annotator_agreement(workspace).to_pylist()
    """
    with workspace.reading() as con:
        cells = fetch_arrow(con, query("active_learning/annotator_pairs")).to_pylist()
    rows = []
    for pair, of_pair in groupby(cells, key=itemgetter("annotator_a", "annotator_b")):
        counts = list(of_pair)
        objects = sum(cell["objects"] for cell in counts)
        same = sum(cell["objects"] for cell in counts if cell["label_a"] == cell["label_b"])
        row = {"objects": objects, "same": same / objects, "kappa": _kappa_of_pair(counts)}
        rows.append(dict(zip(AGREEMENT.names[:2], pair, strict=True)) | row)
    return pa.Table.from_pylist(rows, schema=AGREEMENT)


def _kappa_of_pair(cells: list[dict[str, Any]]) -> float | None:
    """Compute Cohen's kappa of one pair; None if both gave every object the same class."""
    names = sorted({cell[side] for cell in cells for side in ("label_a", "label_b")})
    matrix = np.zeros((1, len(names), len(names)))
    for cell in cells:
        matrix[0, names.index(cell["label_a"]), names.index(cell["label_b"])] = cell["objects"]
    kappa = float(_kappa(matrix / matrix.sum())[0])
    return None if np.isnan(kappa) else kappa


def _kappa(shares: Floats) -> Floats:
    """Compute Cohen's kappa of each matrix of shares, (m, classes, classes); NaN where chance always agrees."""
    observed = np.trace(shares, axis1=1, axis2=2)
    expected = (shares.sum(1) * shares.sum(2)).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa: Floats = np.where(expected < 1 - 1e-12, (observed - expected) / (1 - expected), np.nan)
    return np.where(shares.sum((1, 2)) > 0, kappa, np.nan)
