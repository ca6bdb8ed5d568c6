"""Create and upgrade the tables, views, macros and column comments of the catalogue."""

import csv
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import duckdb

from catbuilder.catalogue.connection import Connection, fetch_number
from catbuilder.core.resources import sql_folder
from catbuilder.core.version import __version__

# A column that an ingest added (--keep) is described by its own comment, not by sql/columns.csv.
_KEPT = "Kept from the archive's file"
_VIEW_FILES = ("views.sql", "predictions.sql", "columns.csv", "tables.csv")  # in sql/; `apply_views` reads them
_SHOWN_BY = {"des_sources": "des_coadd", "sdss_sources": "sdss_photoobj"}  # views that show an archive's columns


@dataclass(frozen=True)
class Column:
    """A column of the data dictionary: its meaning, unit and UCD (IVOA UCD1+)."""

    name: str
    description: str
    unit: str
    ucd: str


def migrate(con: Connection, classes: tuple[str, ...]) -> None:
    """Bring an older catalogue up to this catbuilder's schema: apply missing migrations, then changed views.

    Each migration and its record share one transaction; the last one shares it with the views too.
    """
    done = schema_version(con)
    for file in migrations()[done:]:
        con.begin()
        for statement in con.extract_statements(file.read_text(encoding="utf-8")):
            con.execute(statement)
        version = int(file.name[:4])
        if version == 1:
            # Class names are checked by WorkspaceConfig: plain lower-case identifiers.
            for name in classes:
                con.execute(f"ALTER TABLE predictions ADD COLUMN p_{name} FLOAT")
        con.execute("INSERT INTO migrations VALUES (?, ?, ?, now())", [version, file.stem, __version__])
        if file == migrations()[-1]:
            apply_views(con)
        con.commit()
    if not has_current_views(con):
        con.begin()
        apply_views(con)
        con.commit()
    con.execute("CHECKPOINT")


def classes_of(con: Connection) -> tuple[str, ...]:
    """Read the classes of the catalogue, in order."""
    names = column_names(con, "posteriors")
    return tuple(name.removeprefix("p_") for name in names if name.startswith("p_"))


def column_names(con: Connection, table: str) -> list[str]:
    """Read the names of the columns of a table or view, in order."""
    # From the table itself: duckdb_columns() binds every view.
    return [str(column[0]) for column in con.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]


def apply_views(con: Connection) -> None:
    """Create the views and macros again and comment every column.

    Call it after adding a column: a view shows the columns that its table had when the view was made.
    """
    views = (sql_folder() / "views.sql").read_text(encoding="utf-8")
    for statement in con.extract_statements(_predictions(con) + views):
        con.execute(statement)
    _comment(con)
    _comment_tables(con)
    con.execute(f"CREATE OR REPLACE MACRO views_sha256() AS '{_views_sha256()}'")


def has_current_views(con: Connection) -> bool:
    """Whether the catalogue's views and comments were made from the files that this catbuilder has."""
    try:
        return con.execute("SELECT views_sha256()").fetchall() == [(_views_sha256(),)]
    except duckdb.CatalogException:  # made before views were fingerprinted
        return False


@cache
def _views_sha256() -> str:
    return sha256(b"".join((sql_folder() / name).read_bytes() for name in _VIEW_FILES)).hexdigest()


def _predictions(con: Connection) -> str:
    """Write the SQL of the views `scores` and `predictions` for the catalogue's classes and archives."""
    columns = [f"p_{name}" for name in classes_of(con)]
    files = con.execute("SELECT file FROM archives ORDER BY model").fetchall()
    # paths relative to the workspace, which may move; in another DuckDB client, relative to its working folder
    listed = ", ".join(f"'{file}'" for (file,) in files)
    below = f"[coalesce(getvariable('workspace') || '/', '') || file FOR file IN [{listed}]]"
    return (
        (sql_folder() / "predictions.sql")
        .read_text(encoding="utf-8")
        .format(
            archived=f" UNION ALL BY NAME SELECT * FROM read_parquet({below}, hive_partitioning = false)"
            if files
            else "",
            labels=" ".join(f"WHEN {name} = greatest({', '.join(columns)}) THEN '{name[2:]}'" for name in columns),
            posteriors=", ".join(columns),
            # the second highest posterior is the maximum of the minima of all pairs
            pairs=", ".join(f"least({a}, {b})" for a, b in combinations(columns, 2)),
            entropy=" + ".join(f"{name} * ln(greatest({name}, 1e-30))" for name in columns),
        )
    )


def keep_column(con: Connection, table: str, name: str, kind: str, unit: str, theirs: str) -> None:
    """Add a column to an archive's table for a column of the archive's file; call `apply_views` afterwards.

    Parameters
    ----------
    name, kind : column name and DuckDB type; the caller must have checked that both are plain identifiers
    unit : unit in the archive's file; it becomes part of the comment
    theirs : name of the column in the archive's file
    """
    plain_unit = "".join(letter for letter in unit if letter.isprintable() and letter not in "[]{}")
    row = {"description": f"{_KEPT}: {theirs}", "unit": plain_unit, "ucd": ""}
    con.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}')
    _comment_column(con, table, name, _write_comment(row))


def data_dictionary(con: Connection, table: str) -> list[Column]:
    """Read the columns of a table or view, in order, with the descriptions in the schema's comments."""
    rows = con.execute(
        "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = ? AND NOT internal ORDER BY column_index",
        [table],
    ).fetchall()
    return [_read_comment(name, comment or "") for name, comment in rows]


def migrations() -> list[Path]:
    """List the migration files, oldest first."""
    return sorted((sql_folder() / "migrations").glob("[0-9][0-9][0-9][0-9]_*.sql"))


def schema_version(con: Connection) -> int:
    """Read the number of the newest migration that the catalogue has."""
    return fetch_number(con, "SELECT coalesce(max(version), 0) FROM migrations")


def _comment(con: Connection) -> None:
    """Comment every column of every table and view from `sql/columns.csv` (CREATE OR REPLACE drops comments)."""
    with open(sql_folder() / "columns.csv", encoding="utf-8", newline="") as file:
        known = {(row["table"], row["column"]): row for row in csv.DictReader(file)}
    columns = con.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE NOT internal AND database_name = current_database()"  # not of temporary tables
    ).fetchall()
    kept = {(table, column): text for table, column, text in columns if (text or "").startswith(_KEPT)}
    for table, column, present in columns:
        text = kept.get((_SHOWN_BY.get(table, table), column))
        row = known.get((table, column)) or known.get(("*", column)) or known.get(("*", column[:2] + "*"))
        if text is None and row is not None:
            text = _write_comment(row)
        if text is not None and text != present:
            _comment_column(con, table, column, text)


def _comment_tables(con: Connection) -> None:
    """Comment every table and view with what one row of it is, from `sql/tables.csv`."""
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


def _read_comment(name: str, comment: str) -> Column:
    found = re.fullmatch(r"(.*?)(?: \[([^\]]*)\])?(?: \{([^}]*)\})?", comment, flags=re.DOTALL)
    description, unit, ucd = found.groups() if found else (comment, "", "")
    return Column(name, description, unit or "", ucd or "")
