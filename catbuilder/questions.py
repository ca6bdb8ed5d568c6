"""Whom to ask about next: objects for a person to label, blind.

The table tells where an object is and what its image file is called, never what was predicted, and its order says
nothing of it either: who knows what the network thinks agrees with it too often.
"""

import csv
from pathlib import Path

import pyarrow as pa

from catbuilder.catalog import fetch_arrow
from catbuilder.errors import InputError
from catbuilder.files import written_whole
from catbuilder.resources import query
from catbuilder.workspace import Workspace

# Each with the reason for which it may find nobody to ask about.
STRATEGIES = {
    "audit": "every object that was drawn from a certified batch has its answer, or none was drawn",
    "random": "the pool has no object with a good stamp and without a label",
}


def select_objects(workspace: Workspace, strategy: str = "audit", n: int | None = None) -> pa.Table:
    """Objects to be labelled: survey, object_id, name, ra, dec (ICRS, deg), file, and label and annotator left empty.

    The same objects come again until they have an answer.

    Parameters
    ----------
    strategy : 'audit', what was drawn from the certified batches and nobody has answered; or 'random', from the pool
        without a label (good stamp, target population, free of the firewall)
    n : at most so many; None for all of an audit, or 50 at random

    Raises
    ------
    InputError
        Another strategy.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"there is no strategy '{strategy}' of selection; use {' or '.join(STRATEGIES)}")
    limit = n if n is not None or strategy == "audit" else 50
    with workspace.reading() as con:
        return fetch_arrow(con, query(f"questions_{strategy}"), {"n": limit})


def write_questions(objects: pa.Table, file: Path) -> None:
    """Write what `select_objects` gives as CSV, to be filled in and read by `labels.import_labels`.

    Raises
    ------
    InputError
        The file is there already: there may be answers in it.
    """
    if file.exists():
        raise InputError(f"{file} exists, and there may be answers in it; import it and move it away, or name another")
    with written_whole(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, objects.column_names)
        writer.writeheader()
        writer.writerows(objects.to_pylist())
