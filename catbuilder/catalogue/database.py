"""The catalogue file: connect, migrate, describe. One DuckDB file holds every object and its history.

DuckDB has one writer, and any open reader blocks it, so every connection here is short: open, one
transaction, CHECKPOINT, close. Who finds the file taken waits and is told by whom.
"""

import csv
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from pydantic import ByteSize, TypeAdapter, ValidationError

from catbuilder import __version__
from catbuilder.catalogue.write_ahead_log import keep_if_cut_off, nobody_else, set_aside_refused
from catbuilder.catalogue.writer_priority import let_writers_pass, writers_turn
from catbuilder.core.errors import (
    CatalogueDamaged,
    CatbuilderError,
    ConfigError,
    QueryError,
    SchemaError,
    WorkspaceBusy,
    WorkspaceError,
)
from catbuilder.core.files import written_whole
from catbuilder.core.machine import usable_memory
from catbuilder.core.resources import sql_folder
from catbuilder.core.safe_text import in_one_line, said_by_duckdb

if TYPE_CHECKING:  # it takes a tenth of a second, and many commands need none of it
    import pyarrow as pa

Connection = duckdb.DuckDBPyConnection
Parameters = Sequence[object] | Mapping[str, object]

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": "false"}
# A column that an ingest added (--keep) is described by its own comment and not by sql/columns.csv.
_KEPT = "Kept from the archive's file"
_SHOWN_BY = {"des_sources": "des_coadd", "sdss_sources": "sdss_photoobj"}  # views that show an archive's columns
_HOLDER = re.compile(r"held in (\S+)(?: \(PID (\d+)\))?")
_REFUSED_LOG = ("replaying WAL", "This WAL was created")
_DAMAGE = ("Corrupt", "Could not read enough bytes", *_REFUSED_LOG)
_RESTORE = "put it back from a backup with: catbuilder restore BACKUP {} (what is there now is kept beside it)"
_opened_here: list[Path] = []  # by this process, now


@dataclass(frozen=True)
class Column:
    """A column of the data dictionary: what it means, in which unit, and its UCD (IVOA UCD1+)."""

    name: str
    description: str
    unit: str
    ucd: str


def create_catalog(path: Path, classes: tuple[str, ...]) -> None:
    """Make a new catalogue file with the newest schema and a p_<class> column for each class."""
    with connect(path, read_only=False, new=True) as con:
        con.execute("CREATE TABLE migrations (version INTEGER, name VARCHAR, catbuilder VARCHAR, applied_at TIMESTAMP)")
        migrate(con, classes)


def migrate(con: Connection, classes: tuple[str, ...]) -> None:
    """Apply the migrations that are missing, each with its record in one transaction; the last with the views too.

    Killed between the last migration and its views, a catalogue would count as upgraded and never get them.
    """
    done = _schema_version(con)
    for file in _migrations()[done:]:
        con.begin()
        for statement in con.extract_statements(file.read_text(encoding="utf-8")):
            con.execute(statement)
        version = int(file.name[:4])
        if version == 1:
            # Class names are checked by WorkspaceConfig: plain lower-case identifiers.
            for name in classes:
                con.execute(f"ALTER TABLE predictions ADD COLUMN p_{name} FLOAT")
        con.execute("INSERT INTO migrations VALUES (?, ?, ?, now())", [version, file.stem, __version__])
        if file == _migrations()[-1]:
            apply_views(con)
        con.commit()
    con.execute("CHECKPOINT")


def classes_of(con: Connection) -> tuple[str, ...]:
    """The classes that the catalogue was made for, in their order."""
    names = (column.name for column in data_dictionary(con, "posteriors"))
    return tuple(name.removeprefix("p_") for name in names if name.startswith("p_"))


def apply_views(con: Connection) -> None:
    """Make the views and macros anew and comment every column: a view does not see a column added since it was made."""
    views = (sql_folder() / "views.sql").read_text(encoding="utf-8")
    for statement in con.extract_statements(_predictions(con) + views):
        con.execute(statement)
    _comment(con)
    _comment_tables(con)


def _predictions(con: Connection) -> str:
    """The views `scores` and `predictions` for the catalogue's classes and archives."""
    columns = [f"p_{name}" for name in classes_of(con)]
    files = con.execute("SELECT file FROM archives ORDER BY model").fetchall()
    # names of our own, by their place below the workspace, which may move; in another client, below where that runs
    listed = ", ".join(f"'{file}'" for (file,) in files)
    below = f"[coalesce(getvariable('workspace') || '/', '') || file FOR file IN [{listed}]]"
    return (
        (sql_folder() / "predictions.sql")
        .read_text(encoding="utf-8")
        .format(
            archived=f" UNION ALL BY NAME SELECT * FROM read_parquet({below})" if files else "",
            labels=" ".join(f"WHEN {name} = greatest({', '.join(columns)}) THEN '{name[2:]}'" for name in columns),
            posteriors=", ".join(columns),
            # the second highest posterior is the highest that has a higher one beside it
            pairs=", ".join(f"least({a}, {b})" for a, b in combinations(columns, 2)),
            entropy=" + ".join(f"{name} * ln(greatest({name}, 1e-30))" for name in columns),
        )
    )


def keep_column(con: Connection, table: str, name: str, kind: str, unit: str, theirs: str) -> None:
    """Add a column to an archive's table, for `theirs` of the archive's file, whose unit becomes part of its comment.

    `name` and `kind` (DuckDB's type) must be checked to be plain; follow it by `apply_views`.
    """
    plain_unit = "".join(letter for letter in unit if letter.isprintable() and letter not in "[]{}")
    row = {"description": f"{_KEPT}: {theirs}", "unit": plain_unit, "ucd": ""}
    con.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}')
    _comment_column(con, table, name, _write_comment(row))


@contextmanager
def connect(
    path: Path, *, read_only: bool = True, wait_s: float | None = 60.0, new: bool = False
) -> Iterator[Connection]:
    """Open the catalogue for a moment, waiting while another process holds it.

    Parameters
    ----------
    wait_s : seconds to wait at most; None waits for ever (a round's finished work must not be lost)

    Raises
    ------
    WorkspaceBusy
        Still held after `wait_s`; the message names the process.
    SchemaError
        Made by a newer catbuilder, or not a DuckDB file.
    CatalogueDamaged
        The file is cut off, or a checksum in it fails.
    """
    if not new and not path.is_file():
        raise WorkspaceError(f"there is no catalogue {path}; make a workspace with: catbuilder init WORKSPACE")
    con = _open(path, read_only, wait_s)
    _opened_here.append(path)
    try:
        if not new and _version_of(con, path) < len(_migrations()):
            con.close()
            _upgrade(path, wait_s)
            con = _open(path, read_only, wait_s)
        con.execute("SET TimeZone = 'UTC'")
        set_progress_bar(con, False)
        limit_memory(con)
        yield con
    except (duckdb.Error, RuntimeError) as error:
        if was_interrupted(error):
            raise KeyboardInterrupt from None
        if _is_damage(error):
            raise _damaged(path, error) from error
        if not _is_the_machines(error):
            raise
        raise WorkspaceError(
            f"{path} could not be read or written ({_first_line(error)}); look at the free space, the memory and the "
            "permissions, then give the same command again: what was recorded stays, and it goes on from there"
        ) from error
    finally:
        con.close()
        _opened_here.remove(path)


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


def refused_condition(where: str, error: Exception) -> QueryError:
    """What to tell of a condition on the catalogue's columns that DuckDB refused."""
    return QueryError(
        f"--where '{where}' is not a condition on the columns of the catalogue: {said_by_duckdb(error)}; see them "
        'with: catbuilder sql "DESCRIBE catalog"'
    )


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


def read_everything(con: Connection) -> None:
    """Read every block of every table, so that DuckDB compares each with its checksum.

    Raises
    ------
    CatalogueDamaged
        Raised by `connect`, from the error that is raised here.
    """
    columns = con.execute(
        "SELECT table_name, list(column_name) FROM duckdb_columns() "
        "WHERE table_name IN (SELECT table_name FROM duckdb_tables()) AND NOT internal GROUP BY table_name ORDER BY 1"
    ).fetchall()
    for table, names in columns:
        # a hash of the values: counts and extremes are answered from statistics
        con.execute(
            f"SELECT {', '.join(f'bit_xor(hash({_identifier(name)}))' for name in names)} FROM {table}"
        ).fetchall()


def data_dictionary(con: Connection, table: str) -> list[Column]:
    """Columns of a table or view in order, with what the schema's comments say of them."""
    rows = con.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = ? AND NOT internal ORDER BY column_index",
        [table],
    ).fetchall()
    return [_read_comment(name, comment or "") for name, comment in rows]


def _quoted(path: Path | str) -> str:
    return str(path).replace("'", "''")


def _open(path: Path, read_only: bool, wait_s: float | None) -> Connection:
    started, told, asked = time.monotonic(), False, read_only
    if read_only:
        let_writers_pass(path)
    with ExitStack() as turn:
        while True:
            if not read_only and path not in _opened_here:
                keep_if_cut_off(path)
            try:
                con = duckdb.connect(str(path), read_only=read_only, config=_SETTINGS)
                _place(con, str(path.parent.resolve()))
                return con
            except duckdb.Error as error:
                holder = _holder(str(error))
                if holder is None:
                    refused = any(words in str(error) for words in _REFUSED_LOG) and path not in _opened_here
                    if refused and set_aside_refused(path, _first_line(error)):
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
    if _is_damage(error):
        return _damaged(path, error)
    return SchemaError(
        f"{path} cannot be opened as a catalogue ({in_one_line(_first_line(error))}); if it was one, "
        f"{_RESTORE.format(path.parent)}"
    )


def _is_damage(error: Exception) -> bool:
    """Whether DuckDB has read less than it wrote: a checksum that fails, a file that is cut off, a log it refuses."""
    return isinstance(error, duckdb.Error) and any(words in str(error) for words in _DAMAGE)


def _is_the_machines(error: Exception) -> bool:
    """Whether the disk or the memory failed, and not a query. A full disk fails a commit by a transaction's error."""
    classes = duckdb.IOException | duckdb.OutOfMemoryException | duckdb.FatalException
    return isinstance(error, classes) or any(words in str(error) for words in ("Failed to commit", "Could not write"))


def _damaged(path: Path, error: Exception) -> CatalogueDamaged:
    return CatalogueDamaged(f"{path} is damaged ({in_one_line(_first_line(error))}); {_RESTORE.format(path.parent)}")


def _holder(message: str) -> str | None:
    """The process that holds the file, in DuckDB's words; None if the message is about something else."""
    found = _HOLDER.search(message)
    if found:
        return f"process {found[2]} ({found[1]})" if found[2] else found[1]
    if "Could not set lock" in message or "different configuration" in message:
        return "another process"
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _migrations() -> list[Path]:
    return sorted((sql_folder() / "migrations").glob("[0-9][0-9][0-9][0-9]_*.sql"))


def _schema_version(con: Connection) -> int:
    return fetch_number(con, "SELECT coalesce(max(version), 0) FROM migrations")


def _upgrade(path: Path, wait_s: float | None) -> None:
    """Bring the catalogue of an older catbuilder up to this one's schema."""
    _keep_before_upgrade(path, wait_s)
    con = _open(path, False, wait_s)
    try:
        migrate(con, ())  # the classes' columns are there: they came with the first migration
    finally:
        con.close()


def _keep_before_upgrade(path: Path, wait_s: float | None) -> None:
    """Copy the catalogue beside itself, so that the catbuilder that made it can be gone back to."""
    con = _open(path, False, wait_s)  # waits for whoever holds it
    version = _schema_version(con)
    con.close()  # takes in what a write-ahead log may hold: the file is all there is
    kept = path.with_name(f"{path.name}.before-{version + 1:04d}")
    with nobody_else(path) as file, written_whole(kept) as temporary:
        if file is None:
            raise WorkspaceBusy(f"{path} is in use and must be brought up to date first; give the command again")
        try:
            with open(temporary, "wb") as out:
                shutil.copyfileobj(file, out)
        except OSError as error:
            raise WorkspaceError(
                f"{path} is of an older catbuilder and is copied before it is upgraded, and the copy could not "
                f"be written ({error.strerror}); make room for {path.stat().st_size:,} bytes, then give the same "
                "command again"
            ) from None
    print(f"{path} is brought up to date; as it was it is kept as {kept.name}", file=sys.stderr, flush=True)


def _version_of(con: Connection, path: Path) -> int:
    try:
        version = _schema_version(con)
    except duckdb.CatalogException:
        raise SchemaError(
            f"{path} is a DuckDB file but not a catalogue of catbuilder; name another workspace"
        ) from None
    newest = len(_migrations())
    if version > newest:
        raise SchemaError(
            f"{path} has schema {version} and this catbuilder {__version__} knows up to {newest}; "
            "install the newer catbuilder that made it"
        )
    return version


def _comment(con: Connection) -> None:
    """Comment every column of every table and view from `sql/columns.csv` (CREATE OR REPLACE drops comments)."""
    with open(sql_folder() / "columns.csv", encoding="utf-8", newline="") as file:
        known = {(row["table"], row["column"]): row for row in csv.DictReader(file)}
    columns = con.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE NOT internal AND database_name = current_database()"  # not of temporary tables
    ).fetchall()
    kept = {(table, column): text for table, column, text in columns if (text or "").startswith(_KEPT)}
    for table, column, _ in columns:
        text = kept.get((_SHOWN_BY.get(table, table), column))
        row = known.get((table, column)) or known.get(("*", column)) or known.get(("*", column[:2] + "*"))
        if text is None and row is not None:
            text = _write_comment(row)
        if text is not None:
            _comment_column(con, table, column, text)


def _comment_tables(con: Connection) -> None:
    """Say of every table and view what one row of it is, from `sql/tables.csv`."""
    with open(sql_folder() / "tables.csv", encoding="utf-8", newline="") as file:
        known = {row["table"]: row["description"].replace("'", "''") for row in csv.DictReader(file)}
    kinds = con.execute(
        "SELECT table_name, 'TABLE' FROM duckdb_tables() WHERE NOT temporary UNION ALL "
        "SELECT view_name, 'VIEW' FROM duckdb_views() WHERE NOT internal AND NOT temporary"
    ).fetchall()
    for name, kind in kinds:
        if name in known:
            con.execute(f"COMMENT ON {kind} {name} IS '{known[name]}'")


def _comment_column(con: Connection, table: str, column: str, text: str) -> None:
    quoted = text.replace("'", "''")
    con.execute(f"COMMENT ON COLUMN {table}.\"{column}\" IS '{quoted}'")


def _write_comment(row: dict[str, str]) -> str:
    unit = f" [{row['unit']}]" if row["unit"] else ""
    return f"{row['description']}{unit} {{{row['ucd']}}}"


def _identifier(name: str) -> str:
    return f'"{name}"'


def _read_comment(name: str, comment: str) -> Column:
    found = re.fullmatch(r"(.*?)(?: \[([^\]]*)\])?(?: \{([^}]*)\})?", comment, flags=re.DOTALL)
    description, unit, ucd = found.groups() if found else (comment, "", "")
    return Column(name, description, unit or "", ucd or "")
