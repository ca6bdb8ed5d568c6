"""The manifests of a round: which objects are trained on, validated on and scored. The firewall's first gate.

Validation is split off by sky neighbourhood, or by duplicate group where positions are missing, and not by
id: two images of one galaxy on both sides would make the validation loss a memory test.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import NothingToScore, NothingToTrain
from catbuilder.core.files import atomic_write
from catbuilder.core.recipe import Recipe
from catbuilder.core.resources import query
from catbuilder.core.sky import nearest, neighbourhood
from catbuilder.sets.firewall import read_all
from catbuilder.sets.same_picture import same_picture


def training_manifest(workspace: Workspace, con: Connection, round_number: int, recipe: Recipe) -> pa.Table:
    """Every labelled object that may be trained on, with its role, as the catalogue stands for this round.

    Returns a table of survey, object_id, shard, row, role ('training' or 'validation'), label (index into
    the classes), class, source; sorted by survey and object_id.

    Raises
    ------
    NothingToTrain
        A class has no training object.
    """
    classes = workspace.config.classes
    candidates = fetch_arrow(con, query("sets/training_candidates"), {"round": round_number})
    roles = _roles(workspace, candidates, recipe)
    table = candidates.append_column("role", pa.array(roles, pa.string())).filter(
        pa.array([r is not None for r in roles], pa.bool_())
    )
    counts = {c: 0 for c in classes}
    for role, label in zip(table["role"].to_pylist(), table["class"].to_pylist(), strict=True):
        counts[label] += role == "training"
    missing = [c for c in classes if counts[c] == 0]
    if missing:
        raise NothingToTrain(
            f"no {' and no '.join(missing)} is labelled, has a good stamp and is free of the test sets; ingest images "
            "with labels of every class (catbuilder ingest images DIR --table T.csv --survey sdss)"
        )
    labels = pa.array([classes.index(label) for label in table["class"].to_pylist()], pa.int64())
    return table.append_column("label", labels).select(
        ["survey", "object_id", "shard", "row", "role", "label", "class", "source"]
    )


def score_manifest(con: Connection, recipe: Recipe, unscored_by: int | None = None) -> pa.Table:
    """Every object with a good stamp: survey, object_id, shard, row, keep_features.

    Features are kept of all test and calibration objects, and of a sample of the pool and of what is labelled to train
    on, as large as the recipe's [scoring] says and the same in every round.

    Parameters
    ----------
    unscored_by : only objects that this model has not scored yet
    """
    parameters = {
        "pool_features": recipe.scoring.pool_features, "labelled_features": recipe.scoring.labelled_features,
        "target": recipe.sets.target, "unscored_by": unscored_by,
    }  # fmt: skip
    table = fetch_arrow(con, query("sets/score_candidates"), parameters)
    if table.num_rows == 0:
        what = "not yet scored by that model" if unscored_by is not None else "with a good stamp"
        raise NothingToScore(f"there is no object {what}; ingest images first")
    return table


def in_validation(cells: pa.ChunkedArray, fraction: float) -> list[bool]:
    """Whether the sky neighbourhood of each order-29 cell is held back for validation, as every plan draws it."""
    return [cell is not None and _draw(_sky_group(cell)) < fraction for cell in cells.to_pylist()]


def write_manifest(table: pa.Table, path: Path) -> None:
    """Write a manifest whole."""
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary)


def _roles(workspace: Workspace, candidates: pa.Table, recipe: Recipe) -> list[str | None]:
    """'training', 'validation', or None for an object too near a validation one to be trained on."""
    groups = _groups(workspace, candidates)
    split = np.array(candidates["split"].to_pylist(), dtype=object)
    asserted = np.array([source != "promoted" for source in candidates["source"].to_pylist()], bool)
    drawn = np.array([_draw(group) < recipe.validation.fraction for group in groups], bool)
    validation = (split == "validation") | ((split == "train") & asserted & drawn)
    held_groups = set(groups[validation])
    beside = np.array([group in held_groups for group in groups], bool) & ~validation
    beside |= ~validation & _near(candidates, validation, recipe.firewall.radius_arcsec)
    return [
        "validation" if is_validation else None if is_beside else "training"
        for is_validation, is_beside in zip(validation, beside, strict=True)
    ]


def _groups(workspace: Workspace, candidates: pa.Table) -> np.ndarray:
    """Name of the group that must not be split: a sky neighbourhood, with every copy of its pictures elsewhere."""
    names = [
        _sky_group(cell) if cell is not None else f"{survey} {object_id}"
        for cell, survey, object_id in zip(
            candidates["healpix"].to_pylist(), candidates["survey"].to_pylist(), candidates["object_id"].to_pylist(),
            strict=True,
        )
    ]  # fmt: skip
    unplaced = np.flatnonzero(np.asarray(candidates["healpix"].is_null()))
    if len(unplaced) == 0:
        return np.array(names, dtype=object)
    pairs = same_picture(read_all(workspace, candidates), read_all(workspace, candidates.take(unplaced)))
    _, first_of, neighbours = np.unique(names, return_index=True, return_inverse=True)
    rows = np.concatenate([np.array([i for i, _, _ in pairs], np.int64), np.arange(len(names))])
    columns = np.concatenate([unplaced[[j for _, j, _ in pairs]], first_of[neighbours]])
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    _, group = connected_components(graph, directed=False)
    name_of: dict[int, str] = {}  # a neighbourhood's, where the group has one: copies that come later keep the draw
    for i in np.argsort(np.asarray(candidates["healpix"].is_null()), kind="stable"):
        name_of.setdefault(group[i], names[i])
    return np.array([name_of[g] for g in group], dtype=object)


def _near(candidates: pa.Table, validation: np.ndarray, radius_arcsec: float) -> np.ndarray:
    """Objects within the radius of a validation object: cells have edges, and galaxies stand on them."""
    near = np.zeros(len(validation), bool)
    placed = np.asarray(candidates["ra"].is_valid())
    ra, dec = (candidates[name].to_numpy() for name in ("ra", "dec"))
    here, there = placed & ~validation, placed & validation
    _, separation = nearest(ra[here], dec[here], ra[there], dec[there])
    near[here] = separation <= radius_arcsec
    return near


def _sky_group(cell: int) -> str:
    return f"sky {neighbourhood(cell)}"


def _draw(group: str) -> float:
    """A number in [0, 1) that belongs to the group for ever, whatever the seed or the round."""
    return int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big") / 2**64
