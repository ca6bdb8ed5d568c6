"""Choose and write what a round trains on: the training manifest.

It leaves out everything that the firewall excludes. Labelled objects grow with every round that promotes, so they are
kept in tables of the database, beside its file where they do not fit into memory, and written some at a time.
"""

from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, fetch_slices
from catbuilder.catalogue.id_ranges import LARGE_TABLES, make_table, restricted_to
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import NothingToTrain
from catbuilder.core.recipe import Recipe, Teaching
from catbuilder.core.resources import query
from catbuilder.sets.manifest import ROW_GROUP, write_row_groups
from catbuilder.sets.validation_split import split_off_validation

_AT_ONCE = 2_000_000  # labelled objects that one query reads


def choose_training(
    workspace: Workspace, con: Connection, round_number: int, recipe: Recipe, teacher: int | None = None
) -> dict[str, int]:
    """Make the temporary table `training_rows` of all that this round may train or validate on; count it by role.

    It has survey, object_id, shard, row, role ('training', 'teaching' or 'validation'), label (index into the classes),
    class and source, in the order of survey and object_id. If the recipe lets images without a label teach, it has
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
    _make_candidates(con, round_number, recipe, teacher, len(classes))
    split_off_validation(workspace, con, recipe.validation.fraction, recipe.firewall.radius_arcsec)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE training_rows AS {query('sets/training_rows')}", {"classes": list(classes)}
    )
    found = {
        (role, label): rows
        for role, label, rows in con.execute(
            "SELECT role, class, count(*) FROM temp.training_rows GROUP BY ALL"
        ).fetchall()
    }
    missing = [name for name in classes if not found.get(("training", name))]
    if missing:
        raise NothingToTrain(
            f"no {' and no '.join(missing)} has a label and a good stamp and is outside the test sets; ingest images "
            "with labels of every class (catbuilder ingest images DIR --table T.csv --survey sdss)"
        )
    return {
        name: sum(rows for (role, _), rows in found.items() if role == name)
        for name in ("training", "teaching", "validation")
    }


def write_training_manifest(con: Connection, path: Path) -> int:
    """Write the temporary table `training_rows` as a Parquet file, atomically, and return its number of rows."""
    return write_row_groups(fetch_slices(con, "training_rows", ROW_GROUP), path, NothingToTrain("there is no object"))


def _make_candidates(con: Connection, round_number: int, recipe: Recipe, teacher: int | None, classes: int) -> None:
    """Make the temporary table `candidates` of all labelled objects, and of the images that teach."""
    con.execute("CREATE OR REPLACE TEMP TABLE keys AS SELECT DISTINCT survey, object_id FROM labels ORDER BY ALL")
    text, teaching = query("sets/training_candidates"), recipe.teaching
    table = "candidates" if teaching is None else "labelled"
    for first in range(0, max(fetch_number(con, "SELECT count(*) FROM temp.keys"), 1), _AT_ONCE):
        con.execute(
            "CREATE OR REPLACE TEMP TABLE looked_at AS "
            f"SELECT * FROM temp.keys WHERE rowid BETWEEN {first} AND {first + _AT_ONCE - 1}"
        )
        with restricted_to(con, "looked_at", gathered=LARGE_TABLES):
            add = f"INSERT INTO temp.{table}" if first else f"CREATE OR REPLACE TEMP TABLE {table} AS"
            con.execute(f"{add} {text}", {"round": round_number})
    if teaching is None:
        return
    by = teacher if teaching.source == "pool" else None
    con.register("taught", taught_images(con, round_number, recipe, by, classes))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE candidates AS {query('sets/training_with_teaching')}",
        {"human_weight": teaching.human_weight, "soft": teaching.target == "soft"},
    )
    con.unregister("taught")


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
