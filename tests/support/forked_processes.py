"""Start `catbuilder` and its workers as forks of a process that has imported their libraries already.

A worker process imports PyTorch and timm for 5 s of a core, and then trains a toy network for one; a round of two
processes starts four. The process of a query imports DuckDB and Arrow for a third of a second. What is forked is a
process like any other: it has its own pid, memory and signals, can be killed, and ends with its parent. Only the start
of Python is left out; the tests of whole rounds on a cluster, of the notebook and of what the page answers start their
processes as a user does.
"""

import atexit
import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
import setproctitle

from catbuilder.rounds.launch import processes

_IMPORTED = (
    "torch", "timm", "duckdb", "pyarrow.parquet", "astropy.table", "sklearn.isotonic", "rich.progress",
    "catbuilder.cli.main", "catbuilder.rounds.run", "catbuilder.network.train", "catbuilder.network.score",
    "catbuilder.network.precision_probe",
)  # fmt: skip
_LONGEST_REQUEST = 1 << 20  # bytes: the environment is most of it
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER, see prctl(2)


class ForkedProcess(subprocess.Popen[Any]):
    """A `subprocess.Popen` whose process is a fork, by the server of this process, that goes on as the command."""

    imported: tuple[str, ...] = _IMPORTED

    def _execute_child(self, arguments: Any, *others: Any) -> None:
        _, _, _, _, cwd, environment, _, _, _, stdin, _, _, stdout, _, stderr, *_ = others
        pipes = others[9:15]
        try:
            streams = [0 if stdin == -1 else stdin, 1 if stdout == -1 else stdout, 2 if stderr == -1 else stderr]
            request = {
                "arguments": [str(argument) for argument in arguments],
                "environment": dict(os.environ if environment is None else environment),
                "folder": str(cwd or Path.cwd()),
                "cores": sorted(os.sched_getaffinity(0)),
                "blocked_signals": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
            }
            self.pid = self._fork(request, streams)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _fork(self, request: dict[str, Any], streams: Sequence[int]) -> int:
        server = _server(self.imported)
        with _adopting_orphans():
            socket.send_fds(server, [json.dumps(request).encode()], streams)
            return int(server.recv(32))


class ForkedQuery(ForkedProcess):
    """The same for the process of a query, which is to hold no more in its memory than a real one."""

    imported = ("catbuilder.inspection.sandbox",)


class ForkedServer(ForkedProcess):
    """The same for the server of the page."""

    imported = ("catbuilder.cli.main", "catbuilder.web.app", "catbuilder.inspection.browse", "uvicorn")


class ForkOfCoordinator(ForkedProcess):
    """The same in a process that was forked itself: its workers must be its own children."""

    def _fork(self, request: dict[str, Any], streams: Sequence[int]) -> int:
        pid = os.fork()
        if pid == 0:
            _become(request, streams)
        return pid


def run_forked(arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of catbuilder, or `python -m` with a module, to its end as a fork."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with ForkedProcess(arguments, env={**os.environ, **environment}, text=True, **pipes) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def forked_workers(kind: type[ForkedProcess] = ForkedProcess) -> AbstractContextManager[None]:
    """Let rounds in the body start their workers on this machine as forks."""
    return _forking(processes, kind)


def forked_queries() -> AbstractContextManager[None]:
    """Let `catbuilder sql` and what else reads in the sandbox, in the body and this process, do so in forks."""
    from catbuilder.inspection import sandbox  # here: a server of forks imports its own list, in that order

    return _forking(sandbox, ForkedQuery)


@contextmanager
def _forking(module: types.ModuleType, kind: type[ForkedProcess]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        names = {name: getattr(subprocess, name) for name in ("DEVNULL", "PIPE", "STDOUT")}
        patch.setattr(module, "subprocess", types.SimpleNamespace(Popen=kind, **names))
        yield


@cache
def _server(imported: tuple[str, ...]) -> socket.socket:
    """Start the process that forks, once for each process that asks it; it ends when the socket closes."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST_REQUEST)
    subprocess.Popen(
        [sys.executable, "-c", f"from support.forked_processes import serve; serve({there.fileno()})"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "OMP_WAIT_POLICY": "PASSIVE"},
        pass_fds=[there.fileno()],
    )
    there.close()
    here.send(json.dumps(imported).encode())  # not in its command line, which the titles of its forks must outgrow
    return here


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Make processes whose parent ends children of this process, so that it can wait for them."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_SUBREAPER, 0, 0, 0, 0)


def serve(number: int) -> None:
    """Fork a process for each request, through one that ends at once: so it becomes a child of who asked."""
    connection = socket.socket(fileno=number)
    setproctitle.getproctitle()  # it finds its place beside the environment, while that is as Python was started
    for name in json.loads(connection.recv(_LONGEST_REQUEST)):
        importlib.import_module(name)
    while True:
        message, streams, _, _ = socket.recv_fds(connection, _LONGEST_REQUEST, 3)
        if not message:
            os._exit(0)
        connection.send(str(_fork_orphan(json.loads(message), streams)).encode())
        for fd in streams:
            os.close(fd)


def _fork_orphan(request: dict[str, Any], streams: Sequence[int]) -> int:
    """Fork through a process that ends at once, and give the pid once the new process has its new parent."""
    pid_read, pid_write = os.pipe()
    go_read, go_write = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid == 0:
            os.read(go_read, 1)
            _become(request, streams)
        os.write(pid_write, str(pid).encode())
        os._exit(0)
    pid = int(os.read(pid_read, 32))
    os.waitpid(between, 0)
    os.write(go_write, b"!")
    for fd in (pid_read, pid_write, go_read, go_write):
        os.close(fd)
    return pid


def _become(request: dict[str, Any], streams: Sequence[int]) -> NoReturn:
    """Go on as a new process of Python would with these arguments, and end."""
    code = 1
    try:
        for target, fd in enumerate([os.dup(fd) for fd in streams]):
            os.dup2(fd, target)
        os.closerange(3, 4096)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        folders = request["environment"].get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [folder for folder in folders if folder and folder not in sys.path]
        os.sched_setaffinity(0, request["cores"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked_signals"])
        code = _run(request["arguments"])
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _run(arguments: Sequence[str]) -> int:
    setproctitle.setproctitle(" ".join(arguments))
    try:
        if "-m" in arguments:
            sys.argv = list(arguments[arguments.index("-m") + 1 :])
            sys.modules.pop(sys.argv[0], None)  # or runpy warns of it
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(arguments)
            with forked_workers(ForkOfCoordinator):
                importlib.import_module("catbuilder.cli.main").main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
