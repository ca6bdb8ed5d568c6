"""What of the pool a round may promote, found without looking at all of a survey where a part of it is enough.

Who may be promoted hangs on a dozen tables, how sure the network is on one. So the surest are found first, and of these
those that may be promoted; if they do not suffice, the next ones are looked at too.
"""

from collections.abc import Sequence

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.id_ranges import LARGE_TABLES, make_table, restricted_to
from catbuilder.catalogue.schema import data_dictionary
from catbuilder.core.resources import query

_FEW = 20_000_000  # objects that are looked at together; more are looked at range by range of ids
_ABOVE = (0.999, 0.99, 0.9)  # posteriors above which the surest are looked for first

Steps = dict[str, list[tuple[int, int]]]  # by class (step of confidence, objects), the surest first


def gather_promotable(con: Connection, round_number: int, least: float, most: int | None) -> None:
    """Make the temporary table `promotable` of what the round's model scored and may be promoted.

    Parameters
    ----------
    least : confidence that is needed
    most : the surest so many of each class suffice, ties broken by survey and object_id; None for all
    """
    parameters = {"round": round_number, "least": least, "most": most}
    wanted = 2 * most if most is not None else None
    while True:
        steps, whole = _surest_steps(con, round_number, least, wanted)
        taken, objects = _down_to(steps, wanted)
        if objects > _FEW:
            make_table(con, "promotable", query("decisions/promotable"), parameters)
            return
        _look_at(con, taken, least)
        with restricted_to(con, "looked_at", gathered=[*LARGE_TABLES, "scores"], model=round_number):
            con.execute(f"CREATE OR REPLACE TEMP TABLE promotable AS {query('decisions/promotable')}", parameters)
        if most is None or wanted is None or _suffices(con, steps, taken, most, whole):
            return
        wanted *= 8


def _surest_steps(con: Connection, round_number: int, least: float, wanted: int | None) -> tuple[Steps, bool]:
    """How sure the surest are: of each class so many or more, or all that are sure enough; whether these are all."""
    columns = _posterior_columns(con)
    floors = [floor for floor in _ABOVE if floor > least] if wanted is not None else []
    for floor in floors:
        steps = _steps_above(con, columns, round_number, floor, least)
        if len(steps) == len(columns) and all(
            sum(n for _, n in of_class) >= (wanted or 0) for of_class in steps.values()
        ):
            return steps, False
    return _steps_above(con, columns, round_number, least, least), True


def _posterior_columns(con: Connection) -> list[str]:
    return [column.name for column in data_dictionary(con, "posteriors") if column.name.startswith("p_")]


def _steps_above(con: Connection, columns: Sequence[str], round_number: int, floor: float, least: float) -> Steps:
    """Make the temporary view `surest` of what the model is so sure of or more, and count it by class and step.

    Comparing the stored columns with constants is four times as fast as working out every object's confidence first.
    """
    some = " OR ".join(f'"{name}" >= {floor - 1e-6!r}::FLOAT' for name in columns)  # no rounding may lose an object
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW surest AS SELECT * FROM predictions WHERE model = {round_number:d} AND ({some}) "
        f"AND predicted_confidence BETWEEN {floor!r}::DOUBLE AND 1"  # not a NaN
    )
    steps: Steps = {}
    for label, step, objects in con.execute(query("decisions/promotion_steps"), {"least": least}).fetchall():
        steps.setdefault(label, []).append((step, objects))
    return steps


def _down_to(steps: Steps, wanted: int | None) -> tuple[dict[str, int], int]:
    """The step of each class down to which so many objects stand, and how many these are in all."""
    taken, total = {}, 0
    for label, of_class in steps.items():
        above = 0
        for step, objects in of_class:
            taken[label], above = step, above + objects
            if wanted is not None and above >= wanted:
                break
        total += above
    return taken, total


def _look_at(con: Connection, taken: dict[str, int], least: float) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE steps_of_classes (predicted_label VARCHAR, step INTEGER)")
    con.executemany("INSERT INTO steps_of_classes VALUES (?, ?)", list(taken.items()) or [(None, None)])
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE looked_at AS {query('decisions/promotion_candidates')}", {"least": least}
    )


def _suffices(con: Connection, steps: Steps, taken: dict[str, int], most: int, whole: bool) -> bool:
    """Whether of every class enough were found, or there are no more to be looked at."""
    found = dict(con.execute("SELECT predicted_label, count(*) FROM promotable GROUP BY ALL").fetchall())
    return all(
        found.get(label, 0) >= most or (whole and taken[label] == of_class[-1][0]) for label, of_class in steps.items()
    )
