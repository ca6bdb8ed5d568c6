"""Open DuckDB connections with our settings, and say in plain words why one failed."""

import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from pydantic import ByteSize, TypeAdapter, ValidationError

from catbuilder.catalogue.write_ahead_log import keep_if_cut_off, set_aside_refused
from catbuilder.catalogue.writer_priority import let_writers_pass, writers_turn
from catbuilder.core.errors import (
    CatalogueDamaged,
    CatbuilderError,
    ConfigError,
    SchemaError,
    WorkspaceBusy,
)
from catbuilder.core.machine import usable_memory
from catbuilder.core.safe_text import in_one_line

if TYPE_CHECKING:  # it takes a tenth of a second, and many commands need none of it
    import pyarrow as pa

Connection = duckdb.DuckDBPyConnection
Parameters = Sequence[object] | Mapping[str, object]
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": "false"}
_HOLDER = re.compile(r"held in (\S+)(?: \(PID (\d+)\))?")
_REFUSED_LOG = ("replaying WAL", "This WAL was created")
_DAMAGE = ("Corrupt", "Could not read enough bytes", *_REFUSED_LOG)
_RESTORE = "put it back from a backup with: catbuilder restore BACKUP {} (what is there now is kept beside it)"
opened_here: list[Path] = []  # by this process, now


def set_progress_bar(con: Connection, counting: bool) -> None:
    """Have DuckDB count how far it is, or not; it never draws, since results go to standard output.

    In a notebook without ipywidgets DuckDB counts nothing, and refuses every change of this.
    """
    with suppress(duckdb.InvalidInputException):
        con.execute(f"SET enable_progress_bar = {counting}")
        con.execute("SET enable_progress_bar_print = false")


def limit_memory(con: Connection, most: int | None = None) -> None:
    """Keep DuckDB within CATBUILDER_MEMORY_LIMIT, by default half of the machine, and within `most` bytes.

    What does not fit goes to temporary files beside the catalogue.

    Raises
    ------
    ConfigError
        The environment's limit is no size.
    """
    asked = os.environ.get("CATBUILDER_MEMORY_LIMIT")
    try:
        limit = int(TypeAdapter(ByteSize).validate_python(asked)) if asked else usable_memory() // 2
    except ValidationError:
        raise ConfigError(f"the memory limit '{asked}' is no size; give --memory-limit as 8GB or 500MB") from None
    con.execute(f"SET memory_limit = '{min(limit, most or limit)}B'")


def confine(con: Connection) -> None:
    """From here on this connection reads the catalogue and its archived scores, and reaches nothing else for good."""
    files = [file for (file,) in con.execute("SELECT file FROM archives").fetchall()]
    folder = first_row(con, "SELECT getvariable('workspace')")
    allowed = [str(Path(folder[0]) / file) for file in files] if folder else []
    if allowed:
        listed = ", ".join(f"'{_quoted(path)}'" for path in allowed)
        con.execute(f"SET allowed_paths = [{listed}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


def beside(con: Connection) -> Connection:
    """Another connection to the same open catalogue, for a thread of its own."""
    own = con.cursor()
    folder = first_row(con, "SELECT getvariable('workspace')")
    if folder:
        _place(own, folder[0])  # variables are a connection's own
    return own


def _place(con: Connection, folder: str) -> None:
    """Tell the view `scores` where the workspace lies, whose archives it reads."""
    con.execute("SET VARIABLE workspace = $folder", {"folder": folder})


def was_interrupted(error: Exception) -> bool:
    """Whether this is what DuckDB makes of Ctrl-C, in the middle of a query or of Python that the query calls."""
    return str(error) == "Query interrupted" or "KeyboardInterrupt" in str(error)


def fetch_arrow(con: Connection, text: str, parameters: Mapping[str, object] | None = None) -> "pa.Table":
    """Result of one SELECT as an Arrow table; `$name` in the text is bound from `parameters`."""
    return con.sql(text, params=dict(parameters or {})).to_arrow_table()


def first_row(con: Connection, text: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
    """First row of a short result, or None. Fetches all: DuckDB keeps a connection busy with a half-read one."""
    rows = con.execute(text, parameters).fetchall()
    return rows[0] if rows else None


def fetch_number(con: Connection, text: str, parameters: Parameters = ()) -> int:
    """The one whole number that a query gives."""
    row = first_row(con, text, parameters)
    return int(row[0]) if row else 0


def roll_back(con: Connection) -> None:
    """Undo the open transaction; there is none any more where a commit has failed, as on a full disk."""
    with suppress(duckdb.Error):
        con.rollback()


def _quoted(path: Path | str) -> str:
    return str(path).replace("'", "''")


def open_connection(path: Path, read_only: bool, wait_s: float | None) -> Connection:
    """Open a connection, waiting at most `wait_s` seconds while another process holds the file."""
    started, told, asked = time.monotonic(), False, read_only
    if read_only:
        let_writers_pass(path)
    with ExitStack() as turn:
        while True:
            if not read_only and path not in opened_here:
                keep_if_cut_off(path)
            try:
                con = duckdb.connect(str(path), read_only=read_only, config=_SETTINGS)
                _place(con, str(path.parent.resolve()))
                return con
            except duckdb.Error as error:
                holder = _holder(str(error))
                if holder is None:
                    refused = any(words in str(error) for words in _REFUSED_LOG) and path not in opened_here
                    if refused and set_aside_refused(path, first_line(error)):
                        continue
                    raise _not_opened(path, error) from None
            waited = time.monotonic() - started
            if wait_s is not None and waited > wait_s:
                raise WorkspaceBusy(
                    f"{path} is held by {holder} and was not let go within {wait_s:.0f} s; "
                    "close it there (an open notebook holds it too) and give the command again"
                )
            if not asked:
                turn.enter_context(writers_turn(path))
                asked = True
            if waited > 2 and not told:
                print(f"waiting for {holder}, which holds {path}", file=sys.stderr, flush=True)
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
    """Whether DuckDB has read less than it wrote: a checksum that fails, a file that is cut off, a log it refuses."""
    return isinstance(error, duckdb.Error) and any(words in str(error) for words in _DAMAGE)


def is_machine_fault(error: Exception) -> bool:
    """Whether the disk or the memory failed, and not a query. A full disk fails a commit by a transaction's error."""
    classes = duckdb.IOException | duckdb.OutOfMemoryException | duckdb.FatalException
    return isinstance(error, classes) or any(words in str(error) for words in ("Failed to commit", "Could not write"))


def damaged_catalogue(path: Path, error: Exception) -> CatalogueDamaged:
    """Give the error for a catalogue file that DuckDB calls damaged."""
    return CatalogueDamaged(f"{path} is damaged ({in_one_line(first_line(error))}); {_RESTORE.format(path.parent)}")


def _holder(message: str) -> str | None:
    """The process that holds the file, in DuckDB's words; None if the message is about something else."""
    found = _HOLDER.search(message)
    if found:
        return f"process {found[2]} ({found[1]})" if found[2] else found[1]
    if "Could not set lock" in message or "different configuration" in message:
        return "another process"
    return None


def first_line(error: Exception) -> str:
    """Give the first line of an error's text."""
    return str(error).strip().splitlines()[0]
