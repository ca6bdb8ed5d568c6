"""Read the feature vectors that scoring has saved."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from catbuilder.catalogue.workspace import Workspace


def feature_files(round_folder: Path) -> list[Path]:
    """List the feature files of a round's scoring; their columns are survey, object_id and features."""
    return sorted((round_folder / "scores").glob("features-*.parquet"))


def features_of(
    workspace: Workspace, round_number: int, objects: pa.Table
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Read the features that a round's network computed for given objects, and which objects have any.

    Parameters
    ----------
    objects : table with the columns survey and object_id, each pair once

    Returns
    -------
    float32 (m, hidden), features of the objects that have any, in the order of `objects`; (0, 0) if none has
    bool (n,), for each object whether it has features
    """
    place_of = {key: place for place, key in enumerate(_keys(objects))}
    found, places = [], []
    for file in feature_files(workspace.round_folder(round_number)):
        shard = pq.read_table(file)
        here = np.array([place_of.get(key, -1) for key in _keys(shard)], np.int64)
        flat = shard["features"].combine_chunks().flatten().to_numpy()
        found.append(flat.reshape(len(here), -1)[here >= 0])
        places.append(here[here >= 0])
    known = np.zeros(objects.num_rows, bool)
    if not sum(map(len, places)):
        return np.empty((0, 0), np.float32), known
    order = np.concatenate(places)
    known[order] = True
    return np.concatenate(found)[np.argsort(order)], known


def _keys(objects: pa.Table) -> list[tuple[str, int]]:
    return list(zip(objects["survey"].to_pylist(), objects["object_id"].to_pylist(), strict=True))
