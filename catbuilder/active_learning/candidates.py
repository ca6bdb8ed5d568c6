"""Whom to ask about of a survey of any size: what a model is in doubt about, what its features do not cover, or a draw.

Who may be asked hangs on a dozen tables, what the model made of an object on one. So the most doubtful are found first,
in one pass over the scores, and of these those that may be asked; if they do not suffice, more are looked at. Features
are kept of a sample of the pool, which any catalogue can hold. A draw at random says with which chance each object was
drawn, so all that could have been are counted, range by range.
"""

from bisect import bisect_left
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row
from catbuilder.catalogue.features import feature_files
from catbuilder.catalogue.id_ranges import each_range, make_table, restricted_to
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import NothingToAsk
from catbuilder.core.resources import query

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

DOUBTS = ("margin", "entropy", "mutual_information")
_FEW = 20_000_000  # objects that are looked at together; more are looked at range by range of ids


def newest_model(con: Connection) -> int | None:
    """The model whose scores are the latest, or None before the first."""
    row = first_row(con, "SELECT max(model) FROM scorings")
    return row[0] if row else None


def forget_asked(con: Connection, model: int | None, at_random: bool = False) -> None:
    """Make the temporary table `asked` of the objects that are not to be asked about again."""
    text = f"CREATE OR REPLACE TEMP TABLE asked AS {query('active_learning/questions_asked')}"
    con.execute(text, {"model": model, "at_random": at_random})


def most_doubtful(con: Connection, strategy: str, model: int, n: int, survey: str | None = None) -> pa.Table:
    """The n askable objects that a model is most in doubt about: survey, object_id.

    Parameters
    ----------
    strategy : 'margin', the least between the two highest posteriors; 'entropy' of the posterior; or
        'mutual_information', what the members of an ensemble disagree about
    survey : only objects of this survey

    Raises
    ------
    NothingToAsk
        The model is one network, which does not disagree with itself.
    """
    if strategy == "mutual_information" and not fetch_number(
        con, "SELECT count(*) FROM members WHERE model = ?", [model]
    ):
        raise NothingToAsk(
            f"mutual_information is what the networks of an ensemble disagree about, and model {model} is one network; "
            "train several (catbuilder round --set members=3), or use --strategy margin"
        )
    asked: dict[str, object] = {"strategy": strategy, "model": model, "survey": survey}
    steps = con.execute(query("active_learning/questions_steps"), asked).fetchall()
    wanted = 4 * n
    while not _look_at_doubtful(con, steps, wanted, n, asked):
        wanted *= 8
    ranked = {"strategy": strategy, "model": model, "n": n}
    return fetch_arrow(con, query("active_learning/questions_doubtful"), ranked)


def drawn_at_random(con: Connection, n: int, key: str, survey: str | None = None) -> tuple[pa.Table, float]:
    """A simple random sample of n askable objects (survey, object_id), and the chance with which each was drawn.

    Parameters
    ----------
    key : another key draws other objects
    """
    objects = 0
    con.execute("CREATE OR REPLACE TEMP TABLE drawn (survey VARCHAR, object_id BIGINT)")
    for _ in each_range(con):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE askable AS {query('active_learning/questions_askable')}", {"survey": survey}
        )
        objects += fetch_number(con, "SELECT count(*) FROM temp.askable")
        con.execute(f"INSERT INTO temp.drawn {query('active_learning/questions_drawn')}", {"key": key, "n": n})
    con.execute("CREATE OR REPLACE TEMP TABLE askable AS FROM temp.drawn")
    found = fetch_arrow(con, query("active_learning/questions_drawn"), {"key": key, "n": n})
    return found, found.num_rows / max(objects, 1)


def with_features(
    con: Connection, workspace: Workspace, model: int, survey: str | None = None
) -> tuple[pa.Table, Floats, Bools]:
    """Askable and labelled objects whose features the model's scoring has kept.

    Returns
    -------
    table of survey and object_id (n rows); features, float32 (n, hidden); whether each is labelled, bool (n,)

    Raises
    ------
    NothingToAsk
        No features of the pool were kept.
    """
    from catbuilder.catalogue.features import features_of

    files = [str(file) for file in feature_files(workspace.round_folder(model))]
    if files:
        kept = "SELECT DISTINCT survey, object_id FROM read_parquet($files)"
        con.execute(f"CREATE OR REPLACE TEMP TABLE looked_at AS {kept}", {"files": files})
        with restricted_to(con, "looked_at"):
            con.execute(
                f"CREATE OR REPLACE TEMP TABLE askable AS {query('active_learning/questions_askable')}",
                {"survey": survey},
            )
            objects = fetch_arrow(con, query("active_learning/questions_featured"))
        if objects.num_rows and not np.asarray(objects["labelled"]).all():
            features, _ = features_of(workspace, model, objects)
            return objects.select(["survey", "object_id"]), features, np.asarray(objects["labelled"])
    raise NothingToAsk(
        f"round {model} kept the features of no pool object that could be asked about; score with features kept "
        "([scoring] pool_features in the recipe), or use --strategy margin"
    )


def _look_at_doubtful(
    con: Connection, steps: list[tuple[int, int]], wanted: int, n: int, asked: dict[str, object]
) -> bool:
    """Make the temporary table `askable` of the most doubtful; whether it holds n of them, or all that there are."""
    looked_at = list(accumulate(objects for _, objects in steps))
    place = min(bisect_left(looked_at, wanted), len(steps) - 1)  # of the step down to which there are so many
    survey = {"survey": asked["survey"]}
    if not steps or looked_at[place] > _FEW:
        make_table(con, "askable", query("active_learning/questions_askable"), survey)
        return True
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE looked_at AS {query('active_learning/questions_doubted')}",
        asked | {"step": steps[place][0]},
    )
    with restricted_to(con, "looked_at"):
        con.execute(f"CREATE OR REPLACE TEMP TABLE askable AS {query('active_learning/questions_askable')}", survey)
    return place == len(steps) - 1 or fetch_number(con, "SELECT count(*) FROM temp.askable") >= n
