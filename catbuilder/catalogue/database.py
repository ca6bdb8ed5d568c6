"""The catalogue file: connect, migrate, describe. One DuckDB file holds every object and its history.

DuckDB has one writer, and any open reader blocks it, so every connection here is short: open, one
transaction, CHECKPOINT, close. Who finds the file taken waits and is told by whom.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from catbuilder import __version__
from catbuilder.catalogue.connection import (
    Connection,
    damaged_catalogue,
    first_line,
    is_damage,
    is_machine_fault,
    limit_memory,
    open_connection,
    opened_here,
    set_progress_bar,
    was_interrupted,
)
from catbuilder.catalogue.schema import migrate, migrations, schema_version
from catbuilder.catalogue.write_ahead_log import nobody_else
from catbuilder.core.errors import (
    SchemaError,
    WorkspaceBusy,
    WorkspaceError,
)
from catbuilder.core.files import atomic_write

_log = logging.getLogger(__name__)


def create_catalog(path: Path, classes: tuple[str, ...]) -> None:
    """Make a new catalogue file with the newest schema and a p_<class> column for each class."""
    with connect(path, read_only=False, new=True) as con:
        con.execute("CREATE TABLE migrations (version INTEGER, name VARCHAR, catbuilder VARCHAR, applied_at TIMESTAMP)")
        migrate(con, classes)


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
    con = open_connection(path, read_only, wait_s)
    opened_here.append(path)
    try:
        if not new and _version_of(con, path) < len(migrations()):
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
            f"{path} could not be read or written ({first_line(error)}); look at the free space, the memory and the "
            "permissions, then give the same command again: what was recorded stays, and it goes on from there"
        ) from error
    finally:
        con.close()
        opened_here.remove(path)


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


def _upgrade(path: Path, wait_s: float | None) -> None:
    """Bring the catalogue of an older catbuilder up to this one's schema."""
    _keep_before_upgrade(path, wait_s)
    con = open_connection(path, False, wait_s)
    try:
        migrate(con, ())  # the classes' columns are there: they came with the first migration
    finally:
        con.close()


def _keep_before_upgrade(path: Path, wait_s: float | None) -> None:
    """Copy the catalogue beside itself, so that the catbuilder that made it can be gone back to."""
    con = open_connection(path, False, wait_s)  # waits for whoever holds it
    version = schema_version(con)
    con.close()  # takes in what a write-ahead log may hold: the file is all there is
    kept = path.with_name(f"{path.name}.before-{version + 1:04d}")
    with nobody_else(path) as file, atomic_write(kept) as temporary:
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
    _log.info(f"{path} is upgraded to this version of catbuilder; a copy of the old file is kept as {kept.name}")


def _version_of(con: Connection, path: Path) -> int:
    try:
        version = schema_version(con)
    except duckdb.CatalogException:
        raise SchemaError(
            f"{path} is a DuckDB file but not a catalogue of catbuilder; name another workspace"
        ) from None
    newest = len(migrations())
    if version > newest:
        raise SchemaError(
            f"{path} has schema {version} and this catbuilder {__version__} knows up to {newest}; "
            "install the newer catbuilder that made it"
        )
    return version


def _identifier(name: str) -> str:
    return f'"{name}"'
