"""Find the pool objects that a round may promote, without reading a whole survey.

Whether an object may be promoted depends on a dozen tables, its confidence on one. So the most confident objects are
found first, and of these the ones that may be promoted. If they are too few, less confident objects are read too.
"""

from collections.abc import Sequence

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.id_ranges import LARGE_TABLES, make_table, restricted_to, sql_literal
from catbuilder.catalogue.schema import column_names
from catbuilder.core.resources import query

_MAX_TOGETHER = 20_000_000  # objects that one query reads; more are read in ranges of ids
_FIRST_FLOORS = (0.999, 0.99, 0.9)  # posteriors above which the most confident objects are searched first

Steps = dict[str, list[tuple[int, int]]]  # by class: (step of confidence, number of objects), highest first


def find_promotable(
    con: Connection, round_number: int, least: float, most: int | None, survey: str | None = None
) -> None:
    """Fill the temporary table `promotable` with the objects that may be promoted, with the round's scores.

    Parameters
    ----------
    least : lowest confidence
    most : so many of the most confident objects of each class suffice (ties are broken by survey and object_id); None
        for all
    survey : only objects of this survey
    """
    parameters = {"round": round_number, "least": least, "most": most, "survey": survey}
    wanted = 2 * most if most is not None else None
    while True:
        steps, whole = _surest_steps(con, round_number, least, wanted, survey)
        taken, objects = _down_to(steps, wanted)
        if objects > _MAX_TOGETHER:
            make_table(con, "promotable", query("decisions/promotable"), parameters)
            return
        _select_candidates(con, taken, least)
        with restricted_to(con, "looked_at", gathered=[*LARGE_TABLES, "scores"], model=round_number):
            con.execute(f"CREATE OR REPLACE TEMP TABLE promotable AS {query('decisions/promotable')}", parameters)
        if most is None or wanted is None or _suffices(con, steps, taken, most, whole):
            return
        wanted *= 8


def _surest_steps(
    con: Connection, round_number: int, least: float, wanted: int | None, survey: str | None
) -> tuple[Steps, bool]:
    """Count the most confident objects of each class by steps of confidence: `wanted` or more, or all above `least`.

    Returns
    -------
    the counts, and whether they are of all objects above `least`
    """
    columns = _posterior_columns(con)
    floors = [floor for floor in _FIRST_FLOORS if floor > least] if wanted is not None else []
    for floor in floors:
        steps = _steps_above(con, columns, round_number, floor, least, survey)
        if len(steps) == len(columns) and all(
            sum(n for _, n in of_class) >= (wanted or 0) for of_class in steps.values()
        ):
            return steps, False
    return _steps_above(con, columns, round_number, least, least, survey), True


def _posterior_columns(con: Connection) -> list[str]:
    return [name for name in column_names(con, "posteriors") if name.startswith("p_")]


def _steps_above(
    con: Connection, columns: Sequence[str], round_number: int, floor: float, least: float, survey: str | None
) -> Steps:
    """Make the temporary view `surest` of the objects above a floor of confidence, and count them by class and step.

    Comparing the stored columns with constants is four times as fast as computing every object's confidence first.
    """
    some = " OR ".join(f'"{name}" >= {floor - 1e-6!r}::FLOAT' for name in columns)  # rounding must not lose an object
    here = "" if survey is None else f"AND survey = {sql_literal(survey)}"
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW surest AS SELECT * FROM predictions WHERE model = {round_number:d} AND ({some}) "
        f"{here} AND predicted_confidence BETWEEN {floor!r}::DOUBLE AND 1"  # excludes NaN
    )
    steps: Steps = {}
    for label, step, objects in con.execute(query("decisions/promotion_steps"), {"least": least}).fetchall():
        steps.setdefault(label, []).append((step, objects))
    return steps


def _down_to(steps: Steps, wanted: int | None) -> tuple[dict[str, int], int]:
    """Find the step of each class above which `wanted` objects lie, and the number of objects of all classes there."""
    taken, total = {}, 0
    for label, of_class in steps.items():
        above = 0
        for step, objects in of_class:
            taken[label], above = step, above + objects
            if wanted is not None and above >= wanted:
                break
        total += above
    return taken, total


def _select_candidates(con: Connection, taken: dict[str, int], least: float) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE steps_of_classes (predicted_label VARCHAR, step INTEGER)")
    con.executemany("INSERT INTO steps_of_classes VALUES (?, ?)", list(taken.items()) or [(None, None)])
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE looked_at AS {query('decisions/promotion_candidates')}", {"least": least}
    )


def _suffices(con: Connection, steps: Steps, taken: dict[str, int], most: int, whole: bool) -> bool:
    """Test whether enough objects of every class were found, or no others are left to read."""
    found = dict(con.execute("SELECT predicted_label, count(*) FROM promotable GROUP BY ALL").fetchall())
    return all(
        found.get(label, 0) >= most or (whole and taken[label] == of_class[-1][0]) for label, of_class in steps.items()
    )
