"""Read-only SQL for a person, in a child process that can neither write, nor reach out, nor run away.

DuckDB's own limits are not enough: `repeat('x', 2000000000)` took 4.3 GB under a limit of 500 MB and ignored
an interrupt for 16 s. So the query runs in a process of its own, whose memory the kernel limits and which is
killed when its time is up. Results come back as an Arrow stream.
"""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from catbuilder.catalog import confine
from catbuilder.errors import CatbuilderError, QueryError
from catbuilder.jobs import die_with
from catbuilder.workspace import Workspace

MEMORY_MB = 2048
TIMEOUT_S = 60.0
_OVERHEAD_MB = 1024  # Python, DuckDB and thread stacks before any data
_WAIT_S = 20.0  # for a recording to end
_BATCH_ROWS = 10_000


@contextmanager
def query_stream(
    workspace: Workspace, sql: str, *, memory_mb: int = MEMORY_MB, timeout_s: float = TIMEOUT_S
) -> Iterator[pa.RecordBatchReader]:
    """Run one SELECT and read its result batch by batch.

    Raises
    ------
    QueryError
        The query is wrong, not allowed, or ran over its memory or time.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "catbuilder.sandbox", str(workspace.path), str(memory_mb), str(os.getpid())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin and child.stdout and child.stderr
    out_of_time = threading.Event()

    def kill() -> None:
        out_of_time.set()
        child.kill()

    timer = threading.Timer(timeout_s, kill)
    timer.start()
    try:
        try:
            child.stdin.write(sql.encode(errors="replace"))
            child.stdin.close()
            stream = pa.ipc.open_stream(child.stdout)
        except (pa.ArrowInvalid, OSError):
            raise _why(child, out_of_time.is_set(), memory_mb, timeout_s) from None

        def batches() -> Iterator[pa.RecordBatch]:
            # only what goes wrong with the query itself: a failing reader of ours has its own error
            try:
                yield from stream
            except (pa.ArrowInvalid, OSError):
                raise _why(child, out_of_time.is_set(), memory_mb, timeout_s) from None
            if child.wait() != 0:
                raise _why(child, out_of_time.is_set(), memory_mb, timeout_s)

        yield pa.RecordBatchReader.from_batches(stream.schema, batches())
    finally:
        timer.cancel()
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def query_table(workspace: Workspace, sql: str) -> pa.Table:
    """Run one SELECT and return the whole result."""
    with query_stream(workspace, sql) as reader:
        return reader.read_all()


def _why(child: subprocess.Popen[bytes], out_of_time: bool, memory_mb: int, timeout_s: float) -> QueryError:
    assert child.stderr
    said = child.stderr.read().decode(errors="replace").strip()
    code = child.wait()
    if out_of_time:
        return QueryError(f"the query ran over its {timeout_s:g} s and was stopped; narrow it, or raise --timeout")
    if code == 3:
        return QueryError(said)
    return QueryError(f"the query was stopped (its memory limit is {memory_mb} MB); narrow it, or raise --memory-limit")


def _serve(workspace_path: str, memory_mb: int) -> None:
    """The child: read a query from standard input, write its result to standard output."""
    import duckdb

    limit = (memory_mb + _OVERHEAD_MB) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    sql = sys.stdin.read()
    with Workspace.open(Path(workspace_path)).reading(_WAIT_S) as con:
        con.execute(f"SET memory_limit = '{memory_mb}MB'")
        con.execute("SET allow_community_extensions = false")
        confine(con)
        try:
            statements = con.extract_statements(sql)
        except duckdb.Error as error:
            raise QueryError(f"the query is not valid SQL: {_said(error)}") from None
        if len(statements) != 1:
            raise QueryError(f"{len(statements)} statements were given; give one SELECT")
        if statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            raise QueryError(f"only SELECT is allowed here, not {statements[0].type.name}; the catalogue is read-only")
        try:
            reader = con.sql(statements[0].query).to_arrow_reader(_BATCH_ROWS)
            with pa.ipc.new_stream(sys.stdout.buffer, reader.schema) as out:
                for batch in reader:
                    out.write_batch(batch)
        except (MemoryError, duckdb.OutOfMemoryException):
            raise QueryError(
                f"the query ran over its {memory_mb} MB of memory; narrow it, or raise --memory-limit"
            ) from None
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise QueryError(f"the query failed: {_said(error)}") from None


def _said(error: Exception) -> str:
    """DuckDB's message without its picture of where in the line it was."""
    return " ".join(line for line in str(error).splitlines() if line and not line.startswith(("LINE", " ")))


if __name__ == "__main__":
    try:
        die_with(int(sys.argv[3]))  # nobody else would stop it when its time is up
        _serve(sys.argv[1], int(sys.argv[2]))
    except CatbuilderError as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(3)
    except MemoryError:
        sys.exit(4)
