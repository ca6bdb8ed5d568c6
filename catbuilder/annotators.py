"""Do people agree? Cohen's kappa of every two annotators, over the galaxies that both have labelled.

Two people who call four galaxies of five spiral agree on two thirds of them by chance alone. Kappa (Cohen 1960) is the
agreement beyond that, as a share of what was left to agree on: 1 is perfect, 0 is chance.
"""

from itertools import groupby
from operator import itemgetter

import pyarrow as pa

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query

AGREEMENT = pa.schema(
    [
        ("annotator_a", pa.string()),
        ("annotator_b", pa.string()),
        ("objects", pa.int64()),  # that both have labelled
        ("same", pa.float64()),  # share of these to which both gave the same class
        ("kappa", pa.float64()),  # NULL where both gave one and the same class to all: chance agrees as well
    ]
)


def annotator_agreement(workspace: Workspace) -> pa.Table:
    """Cohen's kappa of each two annotators who have labelled the same objects: a row a pair, columns of `AGREEMENT`.

    Counted are the last words that stand, of source human and with a name. Who was not sure has given no class.
    """
    with workspace.reading() as con:
        cells = fetch_arrow(con, query("annotators")).to_pylist()
    rows = []
    for pair, of_pair in groupby(cells, key=itemgetter("annotator_a", "annotator_b")):
        counts = list(of_pair)
        objects = sum(cell["objects"] for cell in counts)
        same = sum(cell["objects"] for cell in counts if cell["label_a"] == cell["label_b"])
        row = {"objects": objects, "same": same / objects, "kappa": _kappa(counts)}
        rows.append(dict(zip(AGREEMENT.names[:2], pair, strict=True)) | row)
    return pa.Table.from_pylist(rows, schema=AGREEMENT)


def _kappa(cells: list[dict[str, object]]) -> float | None:
    labels = [[cell[name] for cell in cells] for name in ("label_a", "label_b")]
    if len({*labels[0], *labels[1]}) == 1:
        return None
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    return float(cohen_kappa_score(*labels, sample_weight=[cell["objects"] for cell in cells]))
