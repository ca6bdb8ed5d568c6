"""Run read-only SQL of a user in a sandbox: a child process with limits on memory, time, disk and file access.

DuckDB's own limits are not enough: `repeat('x', 2000000000)` took 4.3 GB under a limit of 500 MB and ignored
an interrupt for 16 s. So the query runs in its own process, whose memory the kernel limits and which is killed after a
timeout. A read-only connection is not enough either: `EXPLAIN ANALYZE COPY` runs the COPY, and DuckDB may always touch
the files beside the catalogue, such as its write-ahead log. So EXPLAIN is allowed for SELECT alone, and sorts spill to
a separate folder of limited size, which is removed even after a kill. Results come back as an Arrow stream.
"""

import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from catbuilder.catalogue.connection import allow_only_catalogue
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import require_number_in
from catbuilder.core.errors import CatbuilderError, QueryError
from catbuilder.core.processes import end_with_parent
from catbuilder.core.table_text import JSON_TEXT, NUMBER_TEXT

if TYPE_CHECKING:
    import duckdb

MEMORY_MB = 2048
TIMEOUT_S = 60.0
_OVERHEAD_MB = 1024  # Python, DuckDB and thread stacks before any data
_WAIT_S = 20.0  # longest wait for a recording to end
_BATCH_ROWS = 10_000
_NO_LIMIT_MB = 2**40
_MOST_MEMORY_MB = 2**24  # 16 TB
_LONGEST_TIMEOUT_S = 604_800.0  # a week
_LONGEST_SQL = 1_000_000  # bytes: parsing 50 MB took 8 s and 1 GB
_LONGEST_REASON = 500  # characters: DuckDB quotes the query and values of any length
# Types whose values a printed table, CSV and JSON write themselves; DuckDB writes all others as text.
_PLAIN = {"boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint",
          "float", "double", "varchar", "null"}  # fmt: skip
_LARGE_NUMBERS = {"decimal", "hugeint", "uhugeint", "bignum"}
# EXPLAIN and its options; comments before it are removed first. No comment within: DuckDB would read past its end.
_EXPLAIN = re.compile(r"\s*EXPLAIN\b\s*(?:ANALYZE\b|ANALYSE\b)?\s*(?:\([\w\s,]*\))?", re.IGNORECASE)


@contextmanager
def query_stream(
    workspace: Workspace,
    sql: str,
    *,
    memory_mb: int = MEMORY_MB,
    timeout_s: float = TIMEOUT_S,
    batch_rows: int = _BATCH_ROWS,
    largest_mb: int = _NO_LIMIT_MB,
    values: Literal["typed", "text", "json"] = "typed",
    longest: int = 0,
) -> Iterator[pa.RecordBatchReader]:
    """Run one SELECT and read its result batch by batch.

    Parameters
    ----------
    batch_rows : largest number of rows of a batch
    largest_mb : largest size of the result; the child process refuses more
    values : "typed", or to be shown: lists, intervals, times and the like as DuckDB prints them ("text"), or as JSON
    longest : cut texts after one character more than this, so that a reader sees that they are longer; 0: never

    Raises
    ------
    QueryError
        The query is invalid or not allowed, exceeds its memory or time, or its result is larger than `largest_mb`.
    """
    require_number_in(timeout_s, 0.001, _LONGEST_TIMEOUT_S, "the time limit of a query, in seconds,")
    require_number_in(memory_mb, 1, _MOST_MEMORY_MB, "the memory limit of a query, in MB,")
    text = sql.encode(errors="replace")
    if len(text) > _LONGEST_SQL:
        raise QueryError(f"the query has {len(text):,} bytes and at most {_LONGEST_SQL:,} are allowed; shorten it")
    with _spill_folder(workspace) as spill:
        command = [workspace.path, memory_mb, os.getpid(), spill, batch_rows, largest_mb, values, longest]
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "catbuilder.inspection.sandbox", *map(str, command)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        with _answers(child, text, memory_mb, timeout_s) as reader:
            yield reader


@contextmanager
def _answers(
    child: subprocess.Popen[bytes], sql: bytes, memory_mb: int, timeout_s: float
) -> Iterator[pa.RecordBatchReader]:
    """Send the query to the child and read its result; kill the child after the body or the timeout."""
    assert child.stdin and child.stdout and child.stderr
    out_of_time = threading.Event()

    def kill() -> None:
        out_of_time.set()
        child.kill()

    timer = threading.Timer(timeout_s, kill)
    timer.start()
    try:
        try:
            child.stdin.write(sql)
            child.stdin.close()
            stream = pa.ipc.open_stream(child.stdout)
        except (pa.ArrowInvalid, OSError):
            raise _failure(child, out_of_time.is_set(), memory_mb, timeout_s) from None

        def batches() -> Iterator[pa.RecordBatch]:
            # only errors of the query itself: an error in the caller's body is raised as it is
            try:
                yield from stream
            except (pa.ArrowInvalid, OSError):
                raise _failure(child, out_of_time.is_set(), memory_mb, timeout_s) from None
            if child.wait() != 0:
                raise _failure(child, out_of_time.is_set(), memory_mb, timeout_s)

        yield pa.RecordBatchReader.from_batches(stream.schema, batches())
    finally:
        timer.cancel()
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


@contextmanager
def _spill_folder(workspace: Workspace) -> Iterator[str]:
    """Make a temporary folder for sorts that exceed the memory, on the disk of the workspace if possible."""
    beside = workspace.path if os.access(workspace.path, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=".query-", dir=beside, ignore_cleanup_errors=True) as folder:
        yield folder


def query_table(
    workspace: Workspace, sql: str, *, memory_mb: int = MEMORY_MB, timeout_s: float = TIMEOUT_S
) -> pa.Table:
    """Run one SELECT and return the whole result, of at most `memory_mb`.

    Raises
    ------
    QueryError
        As `query_stream`, or the result is larger.
    """
    batches: list[pa.RecordBatch] = []
    left = memory_mb * 2**20
    with query_stream(workspace, sql, memory_mb=memory_mb, timeout_s=timeout_s) as reader:
        for batch in reader:
            left -= batch.nbytes
            if left < 0:  # it would fill the memory of this process, which has no limit
                raise QueryError(f"the result is larger than {memory_mb} MB; narrow it, or read it with query_stream")
            batches.append(batch)
        return pa.Table.from_batches(batches, reader.schema)


def _failure(child: subprocess.Popen[bytes], out_of_time: bool, memory_mb: int, timeout_s: float) -> QueryError:
    assert child.stderr
    said = child.stderr.read().decode(errors="replace").strip()
    code = child.wait()
    if out_of_time:
        return QueryError(f"the query exceeded its {timeout_s:g} s and was stopped; narrow it, or raise --timeout")
    if code == 3:
        return QueryError(said)
    return QueryError(f"the query was stopped (its memory limit is {memory_mb} MB); narrow it, or raise --memory-limit")


def _serve(
    workspace_path: str, memory_mb: int, spill: str, batch_rows: int, largest_mb: int, values: str, longest: int
) -> None:
    """Run in the child process: read a query from standard input, write its result to standard output."""
    import duckdb

    workspace = Workspace.open(Path(workspace_path))
    disk_mb = workspace.config.limits.query_disk_mb
    _limit(memory_mb, disk_mb)
    sql = sys.stdin.read()
    with workspace.reading(_WAIT_S) as con:
        con.execute(f"SET memory_limit = '{memory_mb}MB'")
        con.execute("SET temp_directory = $spill", {"spill": spill})
        con.execute(f"SET max_temp_directory_size = '{disk_mb}MB'")
        con.execute("SET allow_community_extensions = false")
        allow_only_catalogue(con)
        try:
            found = con.sql(one_reading_statement(con, sql))
            reader = (found if values == "typed" else _shown(found, values, longest)).to_arrow_reader(batch_rows)
            schema = reader.schema if values == "typed" else _marked(reader.schema, found, values)
            left = largest_mb * 2**20 - schema.serialize().size  # column names count too
            too_large = QueryError(f"the result is larger than {largest_mb} MB; narrow it")
            if left < 0:
                raise too_large
            with pa.ipc.new_stream(sys.stdout.buffer, schema) as out:
                for batch in reader:
                    left -= batch.nbytes
                    if left < 0:
                        raise too_large
                    out.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
        except (MemoryError, duckdb.OutOfMemoryException) as error:
            if "max_temp_directory_size" in str(error):
                raise QueryError(
                    f"the query exceeded its {memory_mb} MB of memory and {disk_mb} MB of disk; narrow it, or raise "
                    "--memory-limit or limits.query_disk_mb in catbuilder.toml"
                ) from None
            raise QueryError(
                f"the query exceeded its {memory_mb} MB of memory; narrow it, or raise --memory-limit"
            ) from None
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise QueryError(f"the query failed: {_said(error)}") from None


def _shown(found: "duckdb.DuckDBPyRelation", values: str, longest: int) -> "duckdb.DuckDBPyRelation":
    """Let DuckDB write every value that is not plain as text, and cut texts."""
    columns = []
    for place, (name, kind) in enumerate(zip(found.columns, found.types, strict=True), start=1):
        if not _is_plain(kind):
            text = f"CAST({f'to_json(#{place})' if values == 'json' else f'#{place}'} AS VARCHAR)"
        else:
            text = f"#{place}"
        if longest and (kind.id == "varchar" or not _is_plain(kind)):
            text = f"left({text}, {longest + 1})"
        columns.append(f'{text} AS "{name.replace(chr(34), chr(34) * 2)}"')
    return found.project(", ".join(columns))


def _marked(schema: pa.Schema, found: "duckdb.DuckDBPyRelation", values: str) -> pa.Schema:
    """Mark the columns that hold JSON as text, or numbers as text."""
    fields = []
    for field, kind in zip(schema, found.types, strict=True):
        if not _is_plain(kind) and values == "json":
            field = field.with_metadata(JSON_TEXT)
        elif kind.id in _LARGE_NUMBERS:
            field = field.with_metadata(NUMBER_TEXT)
        fields.append(field)
    return pa.schema(fields)


def _is_plain(kind: "duckdb.sqltypes.DuckDBPyType") -> bool:
    return kind.id in _PLAIN and str(kind) != "JSON"  # which is a VARCHAR by another name


def _limit(memory_mb: int, disk_mb: int) -> None:
    """Set kernel limits on memory and file size, and forbid core dumps."""
    for what, limit in (
        (resource.RLIMIT_DATA, (memory_mb + _OVERHEAD_MB) * 2**20),
        (resource.RLIMIT_FSIZE, disk_mb * 2**20),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))


def one_reading_statement(con: "duckdb.DuckDBPyConnection", sql: str) -> str:
    """Return the text of the query's single statement: a SELECT or what stands for one, or an EXPLAIN of it.

    Raises
    ------
    QueryError
        The text is not valid SQL, not one statement, or it does more than read.
    """
    statement = _one_statement(con, sql)
    text, kind = str(statement.query), statement.type.name
    # ANALYZE runs the statement, which may be COPY ... TO a file that DuckDB may touch
    explained = _explained(text)
    if explained != text:
        kind = _one_statement(con, explained).type.name
    if kind != "SELECT" and not (kind == "MULTI" and _stands_in_from(con, explained)):
        what = f"not {kind}" if kind != "MULTI" else "or a PIVOT whose result is only shown"
        raise QueryError(f"only SELECT is allowed, {what}; the catalogue is read-only")
    return text


def _stands_in_from(con: "duckdb.DuckDBPyConnection", text: str) -> bool:
    """Whether a statement is a query, since it can stand in brackets after FROM.

    A PIVOT whose columns are still to be found is parsed as several statements, as is a COPY or CREATE TABLE of one;
    only the first is a query.
    """
    import duckdb

    try:
        return len(con.extract_statements(f"SELECT * FROM ({text}\n)")) == 1
    except duckdb.Error:
        return False


def _one_statement(con: "duckdb.DuckDBPyConnection", sql: str) -> "duckdb.Statement":
    import duckdb

    try:
        statements = con.extract_statements(sql)
    except (MemoryError, duckdb.OutOfMemoryException):
        raise QueryError("the query is nested too deeply or too long to parse; simplify it") from None
    except duckdb.Error as error:
        raise QueryError(f"the query is not valid SQL: {_said(error)}") from None
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements were given; give one SELECT")
    return statements[0]


def _explained(text: str) -> str:
    """Return the statement after EXPLAIN, or the same text. Unknown options are left, so the rest is no SELECT."""
    uncommented = re.sub(r"^(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)*", "", text, flags=re.DOTALL)
    return _EXPLAIN.sub("", uncommented, count=1) if _EXPLAIN.match(uncommented) else text


def _said(error: Exception) -> str:
    """Return DuckDB's message without the quoted line and without a stack trace."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith(("LINE", " "))]
    if any("INTERNAL" in line for line in lines[:1]):
        del lines[1:]
    said = " ".join(lines)
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]} ..."


if __name__ == "__main__":
    try:
        end_with_parent(int(sys.argv[3]))  # without its parent nothing would stop it after the timeout
        _serve(
            sys.argv[1], int(sys.argv[2]), sys.argv[4], int(sys.argv[5]), int(sys.argv[6]), sys.argv[7],
            int(sys.argv[8]),
        )  # fmt: skip
    except CatbuilderError as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(3)
    except MemoryError:
        sys.exit(4)
