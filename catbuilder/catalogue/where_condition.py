"""Check and apply the condition of `--where`: SQL that a user wrote on the columns of the catalogue.

The condition is somebody's text inside a query of ours. It must be one expression, it is run on a connection that
can read nothing but the catalogue, and an error in it is told as an error of the condition.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from catbuilder.catalogue.connection import (
    Connection,
    allow_only_catalogue,
    is_damage,
    is_machine_fault,
    was_interrupted,
)
from catbuilder.core.errors import QueryError
from catbuilder.core.safe_text import in_one_line


def confined_condition(con: Connection, where: str | None) -> str:
    """Return the condition as SQL in parentheses, `true` for none, and confine the connection to the catalogue.

    The confinement is for good: after this call the connection reads no file and changes no setting.

    Raises
    ------
    QueryError
        The text is not one SQL expression.
    """
    allow_only_catalogue(con)
    if not where:
        return "true"
    with condition_errors(where):
        # parsed alone, since "true) UNION SELECT (1" is one statement once it stands between parentheses
        duckdb.SQLExpression(where)
    return f"({where}\n)"  # the line break ends a comment of the user's


@contextmanager
def condition_errors(where: str | None) -> Iterator[None]:
    """Tell what DuckDB refuses in the body as an error of the condition.

    Interrupts, damage, and a full disk or memory are raised as they are; so is everything where there is no condition.

    Raises
    ------
    QueryError
        The condition is not valid, or fails on a value.
    """
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        if not where or was_interrupted(error) or is_machine_fault(error) or is_damage(error):
            raise
        raise QueryError(
            f"--where '{in_one_line(where, 200)}' is not one condition on the columns of the catalogue: "
            f'{_reason(error)}; see the columns with: catbuilder sql "DESCRIBE catalog"'
        ) from None


_QUOTED = re.compile(r'"([^"]+)"')


def _reason(error: Exception) -> str:
    """The first line of DuckDB's message, and the column names that it suggests."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    near = [name for line in lines if line.startswith("Candidate bindings") for name in _QUOTED.findall(line)]
    first = lines[0] if lines else type(error).__name__
    return in_one_line(f"{first} (did you mean {', '.join(near[:3])}?)" if near else first)
