"""Query the catalogue in SQL from Python, with the result as an Arrow table or a pandas DataFrame."""

from typing import TYPE_CHECKING, Any, Literal, overload

import pyarrow as pa

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.inspection.sandbox import MEMORY_MB, TIMEOUT_S, query_table

if TYPE_CHECKING:
    import pandas as pd


@overload
def query(
    workspace: Workspace, sql: str, to: Literal["arrow"] = "arrow", *, memory_mb: int = ..., timeout_s: float = ...
) -> pa.Table: ...


@overload
def query(
    workspace: Workspace, sql: str, to: Literal["pandas"], *, memory_mb: int = ..., timeout_s: float = ...
) -> "pd.DataFrame": ...


def query(
    workspace: Workspace,
    sql: str,
    to: Literal["arrow", "pandas"] = "arrow",
    *,
    memory_mb: int = MEMORY_MB,
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """Query the catalogue in SQL, read-only and sandboxed, as `catbuilder sql` does.

    Parameters
    ----------
    workspace : Workspace
    sql : str
        One SELECT on the tables and views of the catalogue: `catalog`, `catalog_at(round)`, `metrics` ...
    to : {"arrow", "pandas"}
        Kind of the result.
    memory_mb : int
        Memory limit of the query, MB.
    timeout_s : float
        Time limit of the query, seconds.

    Returns
    -------
    pyarrow.Table or pandas.DataFrame

    Raises
    ------
    QueryError
        The query is invalid or not allowed, or exceeds its memory or time.
    InputError
        Another kind of result, or pandas is not installed.

    Examples
    --------
    >>> catbuilder.query(workspace, "SELECT label, count(*) AS n FROM catalog GROUP BY label", to="pandas")
    """
    if to not in ("arrow", "pandas"):
        raise InputError(f"a query cannot be given as '{to}'; use 'arrow' or 'pandas'")
    table = query_table(workspace, sql, memory_mb=memory_mb, timeout_s=timeout_s)
    if to == "arrow":
        return table
    try:
        return table.to_pandas()
    except ImportError:
        raise InputError("pandas is not installed; use: pip install pandas, or take the Arrow table") from None
