"""Run processes on other hosts: one agent a host, started by ssh or by the command in CATBUILDER_RSH.

Not by `horovodrun`: it wants the network interface to have one name on all hosts and here, gives its ssh no standard
input, so that processes that do not talk to each other outlive a coordinator that was killed, and cannot say which host
was lost; it does not look at host keys, and shows the whole environment on the command line. So ssh is ours, and the
rest Horovod's (see `ranks`). Everything a starter must know goes through its standard input; one connection a host,
however many processes. A host that has said nothing for half a minute is taken for lost.
"""

import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from catbuilder.core.errors import HostLost, LaunchError, WorkerDied
from catbuilder.rounds.launch.host_agent import ALIVE_EVERY_S, Here, Task, about_this_machine
from catbuilder.rounds.launch.hosts import Host, hosts_text
from catbuilder.rounds.launch.processes import Worker, run_all

RSH_VARIABLE = "CATBUILDER_RSH"
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15 -o ServerAliveCountMax=3"
_START_S = 90.0  # Python from a shared disk that many nodes read at once
_SILENT_S = 30.0
_END_S = 5.0
_POLL_S = 0.05

# What belongs to one machine or one login, and must not be carried to another.
_LEFT_AT_HOME = {"CUDA_VISIBLE_DEVICES", "DISPLAY", "HOME", "HOSTNAME", "LOGNAME", "MAIL", "OLDPWD", "PWD", "SHELL",
                 "SHLVL", "TERM", "TMPDIR", "USER", "_"}  # fmt: skip
_LEFT_AT_HOME_PREFIXES = ("BASH_FUNC", "DBUS_", "SLURM_", "SLURMD_", "SSH_", "XDG_")


def run_everywhere(folder: Path, workers: Sequence[Worker], watch: Callable[[], None], restarts: int = 0) -> None:
    """Run processes side by side, each on its host, until all have succeeded; if one fails, all are stopped.

    Parameters
    ----------
    folder : one that all hosts see under the same path
    restarts : how often a host starts a process that died again, alone; see `launch.run_all`

    Raises
    ------
    LaunchError
        A host cannot be reached, does not see the folder, or has other versions.
    HostLost
        A host was reached and then went silent or hung up.
    WorkerDied
        A process ended before its work was done; the others were ended too.
    """
    names = list(dict.fromkeys(worker.host for worker in workers))
    if names == [""]:
        run_all(workers, watch, restarts)
        return
    shares = {name: tuple(worker for worker in workers if worker.host == name) for name in names}
    with _starters(folder, shares, restarts) as starters:
        while not all(starter.done for starter in starters):
            _tend(starters)
            watch()
            time.sleep(_POLL_S)


def threads_on(workspace: Path, hosts: Sequence[Host]) -> int:
    """Compute the threads of each rank: equal on all hosts, so those of the host with the fewest cores a process.

    Asks every host, so a host that cannot be used raises LaunchError before the round is planned.
    """
    with _starters(workspace, {host.name: () for host in hosts}, 0) as starters:
        cores = {starter.host: starter.here.cores for starter in starters if starter.here}
    return max(1, min(cores[host.name] // host.slots for host in hosts))


class _Starter:
    """Connection to the agent of one host."""

    def __init__(self, host: str, task: Task) -> None:
        self.host, self.slots = host, len(task.workers)
        self.here: Here | None = None
        self.done = False
        self.lost = ""  # how
        self.failure: WorkerDied | None = None
        self.failed_at = 0.0
        self.heard = self._began = time.monotonic()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        self._text, self._spoke = b"", time.monotonic()
        self._process = subprocess.Popen(
            _command(host),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for us; the starter hears of our end
        )
        self._write(task.model_dump_json().encode() + b"\n")
        assert self._process.stdin and self._process.stdout
        os.set_blocking(self._process.stdin.fileno(), False)
        os.set_blocking(self._process.stdout.fileno(), False)

    def tend(self) -> None:
        """Say that we are alive, and hear what the host says; raises LaunchError where it cannot be begun with."""
        if self.done or self.failure or self.lost:
            return
        now = time.monotonic()
        if now - self._spoke >= ALIVE_EVERY_S:
            self._spoke = now
            self._write(b".\n")
        ended = self._process.poll() is not None  # asked first: what it said before its end is then all there
        self._listen(now)
        if self.done or self.failure:
            return
        if ended:
            self._hung_up()
        elif self.here is None and now - self._began > _START_S:
            raise LaunchError(
                f"host {self.host} did not start within {_START_S:.0f} s; try: {shlex.join(_command(self.host))}"
            )
        elif self.here and now - self.heard > _SILENT_S:
            self.lost = f"no longer answers (silent for {_SILENT_S:.0f} s)"

    def hang_up(self) -> None:
        """Let the starter hear the end of its input, whereupon it ends its workers."""
        assert self._process.stdin
        self._process.stdin.close()

    def end(self, deadline: float) -> None:
        """Wait for the connection to end until a time; then end it."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()
        self._errors.close()

    def _listen(self, now: float) -> None:
        assert self._process.stdout
        while found := self._process.stdout.read(65536):
            self.heard = now
            *lines, self._text = (self._text + found).split(b"\n")
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            word = said.pop("word")
        except (ValueError, AttributeError, KeyError):
            return  # what a login script prints
        if word == "here":
            self.here = Here.model_validate(said)
        elif word == "done":
            self.done = True
        elif word == "died":
            self.failure = WorkerDied(f"host {self.host}: {said['message']}", said["killed"])
            self.failed_at = self.heard

    def _hung_up(self) -> None:
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        why = lines[-1].strip() if lines else f"exit code {self._process.returncode}"
        if self.here is None:
            raise LaunchError(
                f"host {self.host} cannot be used: {why}; it must be reached without a password and have this "
                f"environment under the same path (try: {shlex.join(_command(self.host))} < /dev/null), or be left "
                "out, which a round that is under way needs --replan for"
            )
        self.lost = f"hung up ({why})"

    def _write(self, text: bytes) -> None:
        try:
            assert self._process.stdin
            self._process.stdin.write(text)
        except (BlockingIOError, BrokenPipeError):
            pass  # its silence or its exit code tell


@contextmanager
def _starters(folder: Path, shares: dict[str, tuple[Worker, ...]], restarts: int) -> Iterator[list[_Starter]]:
    """A starter a host, all of which have answered; ended on leaving, with their workers."""
    token = folder / f".shared-{secrets.token_hex(8)}"
    addresses = _own_addresses(list(shares))
    starters: list[_Starter] = []
    try:
        token.touch()
        for host, workers in shares.items():
            task = Task(
                token=token, coordinator=addresses[host], environment=_carried(), workers=workers, restarts=restarts
            )  # fmt: skip
            starters.append(_Starter(host, task))
        while not all(starter.here for starter in starters):
            _tend(starters)
            time.sleep(_POLL_S)
        for starter in starters:
            _compare(starter, about_this_machine(token), folder)
        token.unlink()
        yield starters
    finally:
        token.unlink(missing_ok=True)
        for starter in starters:
            starter.hang_up()
        deadline = time.monotonic() + _END_S
        for starter in starters:
            starter.end(deadline)


def _tend(starters: Sequence[_Starter]) -> None:
    """Tend every host; raise what happened, once it is known to be the cause and not an effect.

    A rank whose partner was cut off or killed fails too, and often sooner than the partner is missed. So after a
    failure every other host has to be heard once more, or be found lost.
    """
    for starter in starters:
        starter.tend()
    for lost in starters:
        if lost.lost:
            raise HostLost(f"host {lost.host} {lost.lost}; {_ways_on(lost, starters)}")
    failed = sorted((s for s in starters if s.failure), key=lambda s: s.failed_at)
    if failed and all(s.failure or s.done or s.heard > failed[0].failed_at for s in starters):
        first = next((s for s in failed if s.failure and s.failure.killed), failed[0])
        assert first.failure
        raise first.failure


def _ways_on(lost: _Starter, starters: Sequence[_Starter]) -> str:
    left = hosts_text(Host(starter.host, starter.slots) for starter in starters if starter is not lost)
    where = f"--hosts {left}" if left else "--np 1"
    return (
        "nothing recorded is lost: give the same command again when it is back, or go on without it, by a new plan, "
        f"with: catbuilder round --replan {where}"
    )


def _compare(starter: _Starter, ours: Here, folder: Path) -> None:
    """Raise LaunchError where a host does not have what this machine has."""
    there = starter.here
    assert there
    if not there.sees_workspace:
        raise LaunchError(
            f"host {starter.host} does not see {folder} as this machine does; "
            "put the workspace on a disk that all hosts share under one path"
        )
    for package, here in ours.versions.items():
        if there.versions.get(package) != here:
            raise LaunchError(
                f"host {starter.host} has {package} {there.versions.get(package)} and this machine {here}; "
                "give all hosts the same environment"
            )


def _command(host: str) -> list[str]:
    """What starts the starter of a host."""
    words = [sys.executable, "-P", "-m", "catbuilder.rounds.launch.host_agent"]
    if _is_this_machine(host):
        return words
    if "PYTHONPATH" in os.environ:  # the rest of the environment comes later, but this one finds the starter
        words = ["env", f"PYTHONPATH={os.environ['PYTHONPATH']}", *words]
    shell = shlex.split(os.environ.get(RSH_VARIABLE, _SSH))
    if Path(shell[0]).name != "srun":  # which runs the words as they are, where ssh gives them to a shell
        words = [shlex.join(words)]
    return [*shell, host, *words]


def _carried() -> dict[str, str]:
    """Our environment as far as it may hold on another host."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _LEFT_AT_HOME and not name.startswith(_LEFT_AT_HOME_PREFIXES)
    }


def _address(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError:
        raise LaunchError(f"there is no address for host {host}; look at --hosts, or give an address") from None


def _is_this_machine(host: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((_address(host), 0))
            return True
        except OSError:
            return False


def _own_addresses(hosts: Sequence[str]) -> dict[str, str]:
    """This machine's address as each host sees it; for processes here, the one that the first other host sees."""
    seen = {}
    for host in hosts:
        if not _is_this_machine(host):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.connect((_address(host), 9))  # sends nothing
                except OSError as error:
                    raise LaunchError(f"there is no way to host {host}: {error.strerror}; look at --hosts") from None
                seen[host] = probe.getsockname()[0]
    here = next(iter(seen.values()), "127.0.0.1")
    return {host: seen.get(host, here) for host in hosts}
