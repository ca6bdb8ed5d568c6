"""Read the catalogue of a workspace in tests, through one DuckDB that stays open.

To open a DuckDB takes 15 ms, to attach a file to an open one takes one; the tests look into catalogues thousands of
times. What the program itself opens, it opens as a user's command does.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import duckdb

from catbuilder.catalogue.connection import Connection, literal_path, open_in_this_process
from catbuilder.catalogue.workspace import Workspace


@contextmanager
def reading(workspace: Workspace) -> Iterator[Connection]:
    """Give a connection that reads the catalogue; where it cannot be attached, that of `Workspace.reading`."""
    con = _attached(workspace)
    if con is None:
        with workspace.reading() as con:
            yield con
        return
    try:
        yield con
    finally:
        con.execute("USE memory")
        con.execute("DETACH seen")
        con.close()


def _attached(workspace: Workspace) -> Connection | None:
    if workspace.catalog_file in open_in_this_process:  # closing a file gives up this process's locks on it
        return None
    con = _engine(os.getpid()).cursor()
    try:
        path = str(workspace.catalog_file).replace("'", "''")
        con.execute(f"ATTACH '{path}' AS seen (READ_ONLY)")
    except duckdb.Error:
        con.close()
        return None
    con.execute("USE seen")
    con.execute("SET VARIABLE workspace = $folder", {"folder": literal_path(workspace.path)})
    return con


@cache
def _engine(process: int) -> Connection:
    """One for each process: a fork has none of the threads of its parent's."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    return con


atexit.register(_engine.cache_clear)  # a DuckDB that is open when Python ends complains of everything
