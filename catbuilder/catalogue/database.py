"""Create, open and upgrade the catalogue: one DuckDB file with every object and its history.

DuckDB allows one writer, and any open reader blocks it, so every connection here is short: open, one transaction,
CHECKPOINT, close. A command that finds the file in use waits, and says which process uses it.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from catbuilder.catalogue.connection import (
    Connection,
    damaged_catalogue,
    first_line,
    is_damage,
    is_machine_fault,
    limit_memory,
    open_connection,
    open_in_this_process,
    set_progress_bar,
    was_interrupted,
)
from catbuilder.catalogue.schema import has_current_views, migrate, migrations, schema_version
from catbuilder.catalogue.write_ahead_log import exclusive_access
from catbuilder.core.errors import (
    SchemaError,
    WorkspaceBusy,
    WorkspaceError,
)
from catbuilder.core.files import atomic_write
from catbuilder.core.version import __version__

_log = logging.getLogger(__name__)


def create_catalog(path: Path, classes: tuple[str, ...]) -> None:
    """Create a catalogue file with the newest schema and a p_<class> column for each class."""
    with connect(path, read_only=False, new=True) as con:
        con.execute("CREATE TABLE migrations (version INTEGER, name VARCHAR, catbuilder VARCHAR, applied_at TIMESTAMP)")
        migrate(con, classes)


@contextmanager
def connect(
    path: Path, *, read_only: bool = True, wait_s: float | None = 60.0, new: bool = False
) -> Iterator[Connection]:
    """Open the catalogue for a short time; wait while another process uses it.

    Parameters
    ----------
    wait_s : longest wait in seconds; None waits without limit (a round's finished work must not be lost)

    Raises
    ------
    WorkspaceBusy
        The file is still in use after `wait_s`; the message names the process.
    SchemaError
        A newer catbuilder made the file, or it is not a DuckDB file.
    CatalogueDamaged
        The file is truncated, or a checksum in it is wrong.
    WorkspaceError
        There is no catalogue, or the disk or the memory failed.
    """
    if not new and not path.is_file():
        raise WorkspaceError(f"there is no catalogue {path}; make a workspace with: catbuilder init WORKSPACE")
    con = open_connection(path, read_only, wait_s)
    open_in_this_process.append(path)
    try:
        if not new and not _is_current(con, path):
            con.close()
            _upgrade(path, wait_s)
            con = open_connection(path, read_only, wait_s)
        con.execute("SET TimeZone = 'UTC'")
        set_progress_bar(con, False)
        limit_memory(con)
        yield con
    except (duckdb.Error, RuntimeError) as error:
        if was_interrupted(error):
            raise KeyboardInterrupt from None
        if is_damage(error):
            raise damaged_catalogue(path, error) from error
        if not is_machine_fault(error):
            raise
        raise WorkspaceError(
            f"{path} could not be read or written ({first_line(error)}); check the free space, the memory and the "
            "permissions, then give the same command again: recorded work is kept, and it resumes from there"
        ) from error
    finally:
        con.close()
        open_in_this_process.remove(path)


def read_everything(con: Connection) -> None:
    """Read every block of every table, so that DuckDB verifies its checksum.

    Raises
    ------
    CatalogueDamaged
        `connect` raises it, from the error raised here.
    """
    columns = con.execute(
        "SELECT table_name, list(column_name) FROM duckdb_columns() "
        "WHERE table_name IN (SELECT table_name FROM duckdb_tables()) AND NOT internal GROUP BY table_name ORDER BY 1"
    ).fetchall()
    for table, names in columns:
        # a hash reads all values, while counts and extremes are answered from statistics
        con.execute(
            f"SELECT {', '.join(f'bit_xor(hash({_identifier(name)}))' for name in names)} FROM {table}"
        ).fetchall()


def _upgrade(path: Path, wait_s: float | None) -> None:
    """Bring the catalogue of another catbuilder to this one's schema and views; copy it first if tables change."""
    con = open_connection(path, False, wait_s)
    version = schema_version(con)
    con.close()  # applies a write-ahead log, so that the file holds everything
    if version < len(migrations()):
        _keep_before_upgrade(path, version)
    con = open_connection(path, False, wait_s)
    try:
        migrate(con, ())  # the columns of the classes were made with the first migration
    finally:
        con.close()


def _keep_before_upgrade(path: Path, version: int) -> None:
    """Copy a catalogue of schema `version` beside itself, so that its user can go back to the older catbuilder."""
    kept = path.with_name(f"{path.name}.before-{version + 1:04d}")
    with exclusive_access(path) as file, atomic_write(kept) as temporary:
        if file is None:
            raise WorkspaceBusy(f"{path} is in use and must be upgraded first; give the command again")
        try:
            with open(temporary, "wb") as out:
                shutil.copyfileobj(file, out)
        except OSError as error:
            raise WorkspaceError(
                f"{path} was made by an older catbuilder and is copied before its upgrade, but the copy could not "
                f"be written ({error.strerror}); free {path.stat().st_size:,} bytes, then give the same "
                "command again"
            ) from None
    _log.info(f"upgraded {path}; a copy of the old catalogue is kept as {kept.name}")


def _is_current(con: Connection, path: Path) -> bool:
    """Whether the catalogue needs no upgrade; raise SchemaError if it is of a newer catbuilder, or no catalogue."""
    try:
        version = schema_version(con)
    except duckdb.CatalogException:
        raise SchemaError(
            f"{path} is a DuckDB file but not a catalogue of catbuilder; name another workspace"
        ) from None
    newest = len(migrations())
    if version > newest:
        raise SchemaError(
            f"{path} has schema {version} and this catbuilder {__version__} supports at most {newest}; "
            "install the newer catbuilder that made it"
        )
    return version == newest and has_current_views(con)


def _identifier(name: str) -> str:
    return f'"{name}"'
