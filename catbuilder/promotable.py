"""What of the pool a round may promote, found without looking at all of a survey where a part of it is enough.

Who may be promoted hangs on a dozen tables, how sure the network is on one. So the surest are found first, and of these
those that may be promoted; if they do not suffice, the next ones are looked at too.
"""

from catbuilder.catalog import Connection
from catbuilder.lens import gather, lens_on
from catbuilder.resources import query

_FEW = 20_000_000  # objects that are looked at together; more are looked at range by range of ids


def gather_promotable(con: Connection, round_number: int, least: float, most: int | None) -> None:
    """Make the temporary table `promotable` of what the round's model scored and may be promoted.

    Parameters
    ----------
    least : confidence that is needed
    most : the surest so many of each class suffice, ties broken by survey and object_id; None for all
    """
    parameters = {"round": round_number, "least": least, "most": most}
    steps = _steps(con, round_number, least)
    wanted = 2 * most if most is not None else None
    while True:
        taken, objects = _down_to(steps, wanted)
        if objects > _FEW:
            gather(con, "promotable", query("promotable"), parameters)
            return
        _look_at(con, taken, round_number, least)
        with lens_on(con, "looked_at"):
            con.execute(f"CREATE OR REPLACE TEMP TABLE promotable AS {query('promotable')}", parameters)
        if most is None or wanted is None or _suffices(con, steps, taken, most):
            return
        wanted *= 8


def _steps(con: Connection, round_number: int, least: float) -> dict[str, list[tuple[int, int]]]:
    """By class (step of confidence, objects), the surest first."""
    rows = con.execute(query("promotion_steps"), {"round": round_number, "least": least}).fetchall()
    steps: dict[str, list[tuple[int, int]]] = {}
    for label, step, objects in rows:
        steps.setdefault(label, []).append((step, objects))
    return steps


def _down_to(steps: dict[str, list[tuple[int, int]]], wanted: int | None) -> tuple[dict[str, int], int]:
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


def _look_at(con: Connection, taken: dict[str, int], round_number: int, least: float) -> None:
    con.execute("CREATE OR REPLACE TEMP TABLE steps_of_classes (predicted_label VARCHAR, step INTEGER)")
    con.executemany("INSERT INTO steps_of_classes VALUES (?, ?)", list(taken.items()) or [(None, None)])
    text = f"CREATE OR REPLACE TEMP TABLE looked_at AS {query('promotion_candidates')}"
    con.execute(text, {"round": round_number, "least": least})


def _suffices(con: Connection, steps: dict[str, list[tuple[int, int]]], taken: dict[str, int], most: int) -> bool:
    """Whether of every class enough were found, or there are no more to be looked at."""
    found = dict(con.execute("SELECT predicted_label, count(*) FROM promotable GROUP BY ALL").fetchall())
    return all(found.get(label, 0) >= most or taken[label] == of_class[-1][0] for label, of_class in steps.items())
