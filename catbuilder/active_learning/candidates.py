"""Find candidates for labelling in a survey of any size: uncertain objects, objects with features, or a random draw.

Eligibility depends on a dozen tables, the model's score on one. So the most uncertain objects are found first, in one
pass over the scores, and then filtered for eligibility; if too few remain, more are taken. Features are kept for a
sample of the pool only, which fits in memory. A random draw from a large catalogue looks at a random share of it.
"""

from bisect import bisect_left
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row, literal_path
from catbuilder.catalogue.features import feature_files
from catbuilder.catalogue.id_ranges import count_ranges, make_table, restricted_to
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import NothingToAsk
from catbuilder.core.resources import query

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

UNCERTAINTIES = ("margin", "entropy", "mutual_information")
_FEW = 20_000_000  # objects that are filtered in one query; more are filtered one range of ids at a time


def latest_model(con: Connection) -> int | None:
    """Return the model that speaks, or None before the first scoring."""
    row = first_row(con, "SELECT speaker_at()")
    return row[0] if row else None


def make_asked_table(con: Connection, model: int | None, at_random: bool = False) -> None:
    """Make the temporary table `asked` of the objects that must not be chosen again."""
    text = f"CREATE OR REPLACE TEMP TABLE asked AS {query('active_learning/already_asked')}"
    con.execute(text, {"model": model, "at_random": at_random})


def choose_uncertain(con: Connection, strategy: str, model: int, n: int, survey: str | None = None) -> pa.Table:
    """Choose the n eligible objects with the most uncertain predictions: survey, object_id.

    Parameters
    ----------
    strategy : 'margin', the smallest difference of the two highest posteriors; 'entropy' of the posterior; or
        'mutual_information', the disagreement of the members of an ensemble
    survey : only objects of this survey

    Raises
    ------
    NothingToAsk
        The strategy needs an ensemble and the model is one network.
    """
    if strategy == "mutual_information" and not fetch_number(
        con, "SELECT count(*) FROM members WHERE model = ?", [model]
    ):
        raise NothingToAsk(
            f"mutual_information measures the disagreement of an ensemble, and model {model} is a single network; "
            "train several (catbuilder round --set members=3), or use --strategy margin"
        )
    asked: dict[str, object] = {"strategy": strategy, "model": model, "survey": survey}
    steps = con.execute(query("active_learning/uncertainty_histogram"), asked).fetchall()
    wanted = 4 * n
    while not _gather_uncertain(con, steps, wanted, n, asked):
        wanted *= 8
    ranked = {"strategy": strategy, "model": model, "n": n}
    return fetch_arrow(con, query("active_learning/most_uncertain"), ranked)


def draw_random(
    con: Connection, n: int, key: str, survey: str | None = None, promoted_too: bool = False
) -> tuple[pa.Table, float]:
    """Draw a simple random sample of n eligible objects (survey, object_id), and return its sampling probability.

    In a large catalogue the draw is made among a share of all objects, itself chosen at random, and the number of
    eligible objects, by which the probability is computed, is that of the share times its inverse.

    Parameters
    ----------
    key : seed of the draw
    promoted_too : also draw from objects with a promoted label
    """
    wanted = {"survey": survey, "promoted_too": promoted_too}
    parts = count_ranges(con)
    while parts > 1:
        seen = {"key": key, "below": 2**64 // parts, "survey": survey}
        con.execute(f"CREATE OR REPLACE TEMP TABLE considered AS {query('active_learning/random_share')}", seen)
        with restricted_to(con, "considered"):
            con.execute(f"CREATE OR REPLACE TEMP TABLE eligible AS {query('active_learning/eligible_objects')}", wanted)
        found = fetch_arrow(con, query("active_learning/random_sample"), {"key": key, "n": n})
        if found.num_rows == n:
            return found, n / (parts * fetch_number(con, "SELECT count(*) FROM temp.eligible"))
        parts //= 8
    make_table(con, "eligible", query("active_learning/eligible_objects"), wanted)
    found = fetch_arrow(con, query("active_learning/random_sample"), {"key": key, "n": n})
    return found, found.num_rows / max(fetch_number(con, "SELECT count(*) FROM temp.eligible"), 1)


def objects_with_features(
    con: Connection, workspace: Workspace, model: int, survey: str | None = None
) -> tuple[pa.Table, Floats, Bools]:
    """Read the eligible and the labelled objects whose features were kept, with their features.

    Returns
    -------
    table of survey and object_id (n rows); features, float32 (n, hidden); whether each is labelled, bool (n,)

    Raises
    ------
    NothingToAsk
        No features of eligible objects were kept.
    """
    from catbuilder.catalogue.features import features_of

    files = [literal_path(file) for file in feature_files(workspace.round_folder(model))]
    if files:
        kept = "SELECT DISTINCT survey, object_id FROM read_parquet($files, hive_partitioning = false)"
        con.execute(f"CREATE OR REPLACE TEMP TABLE considered AS {kept}", {"files": files})
        with restricted_to(con, "considered"):
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE eligible AS {query('active_learning/eligible_objects')}",
                {"survey": survey, "promoted_too": False},
            )
            objects = fetch_arrow(con, query("active_learning/eligible_and_labelled"))
        if objects.num_rows and not np.asarray(objects["labelled"]).all():
            features, _ = features_of(workspace, model, objects)
            return objects.select(["survey", "object_id"]), features, np.asarray(objects["labelled"])
    raise NothingToAsk(
        f"round {model} kept the features of no pool object that can be chosen; keep features when scoring "
        "([scoring] pool_features in the recipe), or use --strategy margin"
    )


def _gather_uncertain(
    con: Connection, steps: list[tuple[int, int]], wanted: int, n: int, asked: dict[str, object]
) -> bool:
    """Make the temporary table `eligible` of the most uncertain objects; True if it holds n of them, or all."""
    below = list(accumulate(objects for _, objects in steps))
    place = min(bisect_left(below, wanted), len(steps) - 1)  # of the last step of uncertainty that is needed
    survey = {"survey": asked["survey"], "promoted_too": False}
    if not steps or below[place] > _FEW:
        make_table(con, "eligible", query("active_learning/eligible_objects"), survey)
        return True
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE considered AS {query('active_learning/uncertain_candidates')}",
        asked | {"step": steps[place][0]},
    )
    with restricted_to(con, "considered"):
        con.execute(f"CREATE OR REPLACE TEMP TABLE eligible AS {query('active_learning/eligible_objects')}", survey)
    return place == len(steps) - 1 or fetch_number(con, "SELECT count(*) FROM temp.eligible") >= n
