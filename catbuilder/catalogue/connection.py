"""Open DuckDB connections, run queries, and explain DuckDB's errors."""

import glob
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from pydantic import ByteSize, TypeAdapter, ValidationError

from catbuilder.catalogue.write_ahead_log import keep_copy_if_truncated, quarantine_refused_log
from catbuilder.catalogue.writer_priority import announce_writer, wait_for_writers
from catbuilder.core.errors import (
    CatalogueDamaged,
    CatbuilderError,
    ConfigError,
    InputError,
    SchemaError,
    WorkspaceBusy,
)
from catbuilder.core.machine import usable_memory
from catbuilder.core.safe_text import in_one_line

if TYPE_CHECKING:  # it takes a tenth of a second, and many commands need none of it
    import pyarrow as pa

Connection = duckdb.DuckDBPyConnection
_log = logging.getLogger(__name__)
Parameters = Sequence[object] | Mapping[str, object]
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": "false"}
_HOLDER = re.compile(r"held in (\S+)(?: \(PID (\d+)\))?")
_REFUSED_LOG = ("replaying WAL", "This WAL was created")
_DAMAGE = ("Corrupt", "Could not read enough bytes", *_REFUSED_LOG)
_RESTORE = "put it back from a backup with: catbuilder restore BACKUP {} (what is there now is kept beside it)"
open_in_this_process: list[Path] = []  # catalogues, once for each open connection


def set_progress_bar(con: Connection, counting: bool) -> None:
    """Let DuckDB measure its progress, or not; it never draws a bar, since results go to standard output.

    In a notebook without ipywidgets DuckDB measures nothing and rejects this setting.
    """
    with suppress(duckdb.InvalidInputException):
        con.execute(f"SET enable_progress_bar = {counting}")
        con.execute("SET enable_progress_bar_print = false")


def limit_memory(con: Connection, most: int | None = None) -> None:
    """Limit DuckDB's memory to CATBUILDER_MEMORY_LIMIT (default: half of the machine), and to `most` bytes.

    DuckDB writes what does not fit to temporary files beside the catalogue.

    Raises
    ------
    ConfigError
        CATBUILDER_MEMORY_LIMIT is not a size.
    """
    asked = os.environ.get("CATBUILDER_MEMORY_LIMIT")
    try:
        limit = int(TypeAdapter(ByteSize).validate_python(asked)) if asked else usable_memory() // 2
    except ValidationError:
        raise ConfigError(f"the memory limit '{asked}' is not a size; give --memory-limit as 8GB or 500MB") from None
    con.execute(f"SET memory_limit = '{min(limit, most or limit)}B'")


def allow_only_catalogue(con: Connection) -> None:
    """Restrict this connection for good to reading the catalogue and its archived scores, and no other file."""
    files = [file for (file,) in con.execute("SELECT file FROM archives").fetchall()]
    folder = catalogue_file(con).parent
    # DuckDB looks for the pattern first, then for the file that it finds
    allowed = {text for file in files for text in (str(folder / file), literal_path(folder / file))}
    if allowed:
        listed = ", ".join(f"'{_quoted(path)}'" for path in sorted(allowed))
        con.execute(f"SET allowed_paths = [{listed}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def another_connection(con: Connection) -> Connection:
    """Open another connection to the same open catalogue, for another thread."""
    own = con.cursor()
    _set_workspace_folder(own, catalogue_file(con).parent)  # each connection has its own variables
    return own


def catalogue_file(con: Connection) -> Path:
    """Give the path of the file that a connection has open."""
    row = first_row(con, "SELECT path FROM duckdb_databases() WHERE database_name = current_database()")
    assert row is not None
    return Path(row[0])


def _set_workspace_folder(con: Connection, folder: Path) -> None:
    """Tell the view `scores` the folder of the workspace, whose archives it reads."""
    con.execute("SET VARIABLE workspace = $folder", {"folder": literal_path(folder)})


def literal_path(path: Path) -> str:
    """Write the path of a file so that DuckDB reads that file alone.

    DuckDB takes a path that it reads for a pattern: `cat1.csv` would be read in place of `cat[1].csv` (duckdb#4699).

    Raises
    ------
    InputError
        DuckDB can read no file of this name.
    """
    text = glob.escape(str(path.absolute()))  # absolute: DuckDB has its own meaning for a ~ at the beginning
    if "\\" in text and text != str(path.absolute()):  # in a pattern it takes a backslash for a slash
        raise InputError(f"{path} has a backslash beside one of [ * ? in its path, which cannot be read; rename it")
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # how Python writes bytes that are not UTF-8
        raise InputError(f"the path {in_one_line(path)} is not valid UTF-8, so it cannot be read; rename it")
    return text


def require_readable_folder(workspace: Path) -> None:
    """Raise InputError if DuckDB could not open the catalogue of a workspace in this folder, or read its files."""
    if "\\" in str(workspace):  # it takes a backslash for a slash when it opens a catalogue
        raise InputError(f"{workspace} has a backslash in its path, which DuckDB cannot read; name another folder")
    literal_path(workspace)


def was_interrupted(error: Exception) -> bool:
    """Whether DuckDB raised this error because of Ctrl-C, in a query or in Python code that the query calls."""
    return str(error) == "Query interrupted" or "KeyboardInterrupt" in str(error)


def fetch_arrow(con: Connection, text: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
    """Run one SELECT and give an Arrow table; `$name` in the text is bound from `parameters`."""
    return con.sql(text, params=dict(parameters or {})).to_arrow_table()


def fetch_slices(con: Connection, table: str, rows: int, columns: str = "*") -> "Iterator[pa.Table]":
    """Read a temporary table in its order, so many rows at a time; at least one Arrow table, which may be empty.

    Rows have no numbers before the transaction that wrote them has ended.
    """
    for first in range(0, max(fetch_number(con, f"SELECT count(*) FROM temp.{table}"), 1), rows):
        yield fetch_arrow(con, f"SELECT {columns} FROM temp.{table} WHERE rowid BETWEEN {first} AND {first + rows - 1}")


def first_row(con: Connection, text: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
    """Give the first row of a short result, or None. Fetches all rows: a half-read result blocks the connection."""
    rows = con.execute(text, parameters).fetchall()
    return rows[0] if rows else None


def fetch_number(con: Connection, text: str, parameters: Parameters = ()) -> int:
    """Run a query whose result is one whole number; 0 if it has no row."""
    row = first_row(con, text, parameters)
    return int(row[0]) if row else 0


def roll_back(con: Connection) -> None:
    """Undo the open transaction, if there still is one: after a failed commit, as on a full disk, there is not."""
    with suppress(duckdb.Error):
        con.rollback()


def _quoted(path: Path | str) -> str:
    return str(path).replace("'", "''")


def open_connection(path: Path, read_only: bool, wait_s: float | None) -> Connection:
    """Open a connection, waiting at most `wait_s` seconds while another process holds the file."""
    started, told, asked = time.monotonic(), False, read_only
    if read_only:
        wait_for_writers(path)
    with ExitStack() as turn:
        while True:
            if not read_only and path not in open_in_this_process:
                keep_copy_if_truncated(path)
            try:
                con = duckdb.connect(str(path), read_only=read_only, config=_SETTINGS)
                _set_workspace_folder(con, path.parent.resolve())
                return con
            except duckdb.Error as error:
                holder = _holder(str(error))
                if holder is None:
                    refused = any(words in str(error) for words in _REFUSED_LOG) and path not in open_in_this_process
                    if refused and quarantine_refused_log(path, first_line(error)):
                        continue
                    raise _not_opened(path, error) from None
            waited = time.monotonic() - started
            if wait_s is not None and waited > wait_s:
                raise WorkspaceBusy(
                    f"{path} is in use by {holder} and was not released within {wait_s:.0f} s; "
                    "close it there (an open notebook holds it too) and give the command again"
                )
            if not asked:
                turn.enter_context(announce_writer(path))
                asked = True
            if waited > 2 and not told:
                _log.info(f"waiting for {holder}, which is using {path}")
                told = True
            time.sleep(min(0.02 + waited / 10, 0.5 if read_only else 0.1))


def _not_opened(path: Path, error: duckdb.Error) -> CatbuilderError:
    if is_damage(error):
        return damaged_catalogue(path, error)
    return SchemaError(
        f"{path} cannot be opened as a catalogue ({in_one_line(first_line(error))}); if it was one, "
        f"{_RESTORE.format(path.parent)}"
    )


def is_damage(error: Exception) -> bool:
    """Whether the error means a damaged file: a wrong checksum, a truncated file, or an invalid write-ahead log."""
    return isinstance(error, duckdb.Error) and any(words in str(error) for words in _DAMAGE)


def is_machine_fault(error: Exception) -> bool:
    """Whether the disk or the memory failed, not the query. On a full disk a commit fails with a transaction error."""
    classes = duckdb.IOException | duckdb.OutOfMemoryException | duckdb.FatalException
    return isinstance(error, classes) or any(words in str(error) for words in ("Failed to commit", "Could not write"))


def damaged_catalogue(path: Path, error: Exception) -> CatalogueDamaged:
    """Make the error for a damaged catalogue file."""
    return CatalogueDamaged(f"{path} is damaged ({in_one_line(first_line(error))}); {_RESTORE.format(path.parent)}")


def _holder(message: str) -> str | None:
    """Find the process that holds the file in DuckDB's message; None if the message is about something else."""
    found = _HOLDER.search(message)
    if found:
        return f"process {found[2]} ({found[1]})" if found[2] else found[1]
    if "Could not set lock" in message or "different configuration" in message:
        return "another process"
    return None


def first_line(error: Exception) -> str:
    """Give the first line of an error's text."""
    return str(error).strip().splitlines()[0]
