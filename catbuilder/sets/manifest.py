"""Build the manifests of a round: the objects to train on, to validate on and to score.

Validation objects are split off by sky neighbourhood, or by groups of equal pictures where positions are missing, and
not by id. If images of one galaxy were on both sides, the validation loss would measure memory. The training manifest
leaves out everything that the firewall excludes.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from catbuilder.catalogue.connection import Connection, fetch_arrow
from catbuilder.catalogue.id_ranges import (
    LARGE_TABLES,
    RANGE_OBJECTS,
    count_ranges,
    each_range,
    make_table,
    restricted_to,
)
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import NothingToScore, NothingToTrain
from catbuilder.core.files import atomic_write
from catbuilder.core.recipe import Recipe, Teaching
from catbuilder.core.resources import query
from catbuilder.core.sky import nearest, neighbourhood
from catbuilder.sets.firewall import read_stamps
from catbuilder.sets.same_picture import same_picture


def training_manifest(
    workspace: Workspace, con: Connection, round_number: int, recipe: Recipe, teacher: int | None = None
) -> pa.Table:
    """List every object that this round may train or validate on, with its role.

    Returns a table of survey, object_id, shard, row, role ('training', 'teaching' or 'validation'), label (index into
    the classes), class, source; sorted by survey and object_id. If the recipe lets images without a label teach, it has
    weight (float32) and posterior (list of float32, of a soft target) too.

    Parameters
    ----------
    teacher : the model whose predictions teach; None if there is none yet

    Raises
    ------
    NothingToTrain
        A class has no training object.
    """
    classes = workspace.config.classes
    candidates = fetch_arrow(con, query("sets/training_candidates"), {"round": round_number})
    columns = [*_COLUMNS]
    if recipe.teaching is not None:
        by = teacher if recipe.teaching.source == "pool" else None
        taught = taught_images(con, round_number, recipe, by, len(classes))
        candidates = _with_teaching(candidates, taught, recipe.teaching)
        columns += ["weight", "posterior"]
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
            f"no {' and no '.join(missing)} has a label and a good stamp and is outside the test sets; ingest images "
            "with labels of every class (catbuilder ingest images DIR --table T.csv --survey sdss)"
        )
    labels = pa.array([classes.index(label) for label in table["class"].to_pylist()], pa.int64())
    return table.append_column("label", labels).select(columns)


_COLUMNS = ("survey", "object_id", "shard", "row", "role", "label", "class", "source")
_TAUGHT = "taught"  # source of an image that teaches by a prediction


def taught_images(con: Connection, round_number: int, recipe: Recipe, teacher: int | None, classes: int) -> pa.Table:
    """List the images without a label that teach a round by a model's predictions; none without `[teaching]`.

    Returns a table of survey, object_id, ra, dec, healpix, class (as predicted), source ('taught'), split, shard, row,
    posterior (list of float32); sorted by survey and object_id.
    """
    teaching = recipe.teaching or Teaching()
    model = teacher if recipe.teaching is not None else None
    of_model = {"round": round_number, "model": model}
    # Whether an image may teach depends on every table, and its rank on all images: so only ids and predictions of the
    # target's pool are gathered, range by range, and the rest is read of the images that were drawn.
    make_table(con, "teachable", query("sets/teachable"), {**of_model, "target": recipe.sets.target})
    settings = teaching.model_dump(include={"surest", "least", "balanced", "images"})
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE drawn AS {query('sets/teaching_drawn')}", {**settings, "classes": classes}
    )
    with restricted_to(con, "drawn", gathered=[*LARGE_TABLES, "scores"], model=model):
        return fetch_arrow(con, query("sets/teaching_candidates"), of_model)


def _with_teaching(labelled: pa.Table, taught: pa.Table, teaching: Teaching) -> pa.Table:
    """Leave out promoted labels; add the images that teach, and everybody's weight."""
    labelled = labelled.filter(pc.not_equal(labelled["source"], "promoted"))
    if teaching.target == "hard":
        taught = taught.drop_columns(["posterior"])
    table = pa.concat_tables([labelled, taught.cast(_like(labelled, taught))], promote_options="default")
    if "posterior" not in table.column_names:
        table = table.append_column("posterior", pa.nulls(table.num_rows, pa.list_(pa.float32())))
    weights = pc.if_else(pc.equal(table["source"], "human"), teaching.human_weight, 1.0).cast(pa.float32())
    return table.append_column("weight", weights).sort_by([("survey", "ascending"), ("object_id", "ascending")])


def _like(model: pa.Table, table: pa.Table) -> pa.Schema:
    """Give the columns of a table the types that another table has for them."""
    known = {field.name: field for field in model.schema}
    return pa.schema([known.get(field.name, field) for field in table.schema])


def write_score_manifest(con: Connection, recipe: Recipe, path: Path, unscored_by: int | None = None) -> int:
    """Write the manifest of a scoring as a Parquet file, atomically, and return its number of rows.

    It lists every object with a good stamp: survey, object_id, shard, row, keep_features; sorted by survey and
    object_id. A large catalogue is read one range of ids after another, so that the rows are never in memory together.

    Features are kept for all test and calibration objects, and for samples of the pool and of the labelled training
    objects. The samples are the same in every round; the recipe's [scoring] gives their sizes.

    Parameters
    ----------
    unscored_by : only objects that this model has not scored yet

    Raises
    ------
    NothingToScore
        There is no such object.
    """
    _make_features_kept(con, recipe)
    rows = 0
    with atomic_write(path) as temporary, ExitStack() as open_file:
        writer: pq.ParquetWriter | None = None
        for table in _in_row_groups(_score_candidates(con, unscored_by)):
            writer = writer or open_file.enter_context(pq.ParquetWriter(temporary, table.schema))
            writer.write_table(table, row_group_size=_ROW_GROUP)
            rows += table.num_rows
        if not rows:
            what = "not yet scored by that model" if unscored_by is not None else "with a good stamp"
            raise NothingToScore(f"there is no object {what}; ingest images first")
    return rows


def _make_features_kept(con: Connection, recipe: Recipe) -> None:
    """Make the temporary table `features_kept`; in a large catalogue the samples are of a share of all objects."""
    sizes = {"pool_features": recipe.scoring.pool_features, "labelled_features": recipe.scoring.labelled_features}
    text = f"CREATE OR REPLACE TEMP TABLE features_kept AS {query('sets/features_kept')}"
    parameters = {**sizes, "target": recipe.sets.target}
    ranges = count_ranges(con)
    considered = max(_CONSIDERED, 16 * max(sizes.values()))
    parts = 2 ** max(0, int(math.log2(max(1, ranges * RANGE_OBJECTS // considered))))
    if parts == 1:
        con.execute(text, parameters)
        return
    below = 2**64 // parts
    con.execute(f"CREATE OR REPLACE TEMP TABLE considered AS {query('sets/features_considered')}", {"below": below})
    with restricted_to(con, "considered"):
        con.execute(text, parameters)


def _score_candidates(con: Connection, unscored_by: int | None) -> Iterator[pa.Table]:
    for _ in each_range(con):
        yield fetch_arrow(con, query("sets/score_candidates"), {"unscored_by": unscored_by})


def _in_row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut tables anew into row groups of one length, so that the file does not depend on how they were read."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(part.num_rows for part in waiting) >= _ROW_GROUP:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, _ROW_GROUP).combine_chunks()
            waiting = [whole.slice(_ROW_GROUP)]
    if any(part.num_rows for part in waiting):
        yield pa.concat_tables(waiting).combine_chunks()


_ROW_GROUP = 2**20  # rows
_CONSIDERED = 500_000  # objects of a large catalogue among which those whose features are kept are found


def in_validation(cells: pa.ChunkedArray, fraction: float) -> list[bool]:
    """Test whether the sky neighbourhood of each order-29 HEALPix cell is drawn for validation, as in every round."""
    return [cell is not None and _draw(_sky_group(cell)) < fraction for cell in cells.to_pylist()]


def write_manifest(table: pa.Table, path: Path) -> None:
    """Write a manifest as a Parquet file, atomically."""
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary)


def _roles(workspace: Workspace, candidates: pa.Table, recipe: Recipe) -> list[str | None]:
    """Assign 'training', 'teaching' or 'validation', or None to an object too near a validation object to train on."""
    groups = _groups(workspace, candidates)
    split = np.array(candidates["split"].to_pylist(), dtype=object)
    asserted = np.array([source != "promoted" for source in candidates["source"].to_pylist()], bool)
    drawn = np.array([_draw(group) < recipe.validation.fraction for group in groups], bool)
    validation = (split == "validation") | ((split == "train") & asserted & drawn)
    held_groups = set(groups[validation])
    beside = np.array([group in held_groups for group in groups], bool) & ~validation
    beside |= ~validation & _near(candidates, validation, recipe.firewall.radius_arcsec)
    taught = np.array([source == _TAUGHT for source in candidates["source"].to_pylist()], bool)
    return [
        "validation" if is_validation else None if is_beside else "teaching" if is_taught else "training"
        for is_validation, is_beside, is_taught in zip(validation, beside, taught, strict=True)
    ]


def _groups(workspace: Workspace, candidates: pa.Table) -> np.ndarray:
    """Name the group of each object that must not be split: a sky neighbourhood and all copies of its pictures."""
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
    pairs = same_picture(read_stamps(workspace, candidates), read_stamps(workspace, candidates.take(unplaced)))
    _, first_of, neighbours = np.unique(names, return_index=True, return_inverse=True)
    rows = np.concatenate([np.array([i for i, _, _ in pairs], np.int64), np.arange(len(names))])
    columns = np.concatenate([unplaced[[j for _, j, _ in pairs]], first_of[neighbours]])
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(names), len(names)))
    _, group = connected_components(graph, directed=False)
    name_of: dict[int, str] = {}  # that of a neighbourhood if there is one, so that later copies do not change the draw
    for i in np.argsort(np.asarray(candidates["healpix"].is_null()), kind="stable"):
        name_of.setdefault(group[i], names[i])
    return np.array([name_of[g] for g in group], dtype=object)


def _near(candidates: pa.Table, validation: np.ndarray, radius_arcsec: float) -> np.ndarray:
    """Find objects within the radius of a validation object, since a neighbour may lie beyond the edge of a cell."""
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
    """Compute a number in [0, 1) from the group's name, the same for every seed and round."""
    return int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big") / 2**64
