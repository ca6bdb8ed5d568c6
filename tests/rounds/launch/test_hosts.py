"""Rounds over two hosts, which are network namespaces of this machine with an sshd and a core each."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, contents, rows
from support.needs import needs_horovod
from support.round_state import epoch_begun, last_steps, models

from catbuilder.core.errors import InputError, LaunchError, WorkerDied
from catbuilder.rounds.launch.hosts import Host, assign_to_hosts, hosts_text, parse_hosts, ranks_on
from catbuilder.rounds.launch.processes import Worker
from catbuilder.rounds.launch.remote import run_everywhere, threads_on

TWO_HOSTS = Path(__file__).resolve().parents[3] / "scripts" / "study" / "two_hosts.sh"


def on_two_hosts(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that needs them."""
    for mark in (
        pytest.mark.slow,
        needs_horovod,
        pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root: two hosts untested"),
    ):
        test = mark(test)
    return test


# --- what people write


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True), st.integers(1, 64)))
def test_hosts_are_read_as_written(named: dict[str, int]) -> None:
    hosts = tuple(Host(name, slots) for name, slots in named.items())
    assert parse_hosts(hosts_text(hosts)) == hosts
    assert len(assign_to_hosts(hosts_text(hosts), 1)) == ranks_on(hosts_text(hosts), None)


@pytest.mark.parametrize("text", ["node1", "node1:0", "node1:x", "node1:4,,node2:4", "-oProxyCommand=x:1", "a b:1"])
def test_a_malformed_host_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="give them as in --hosts node1:4,node2:4"):
        parse_hosts(text)


def test_hosts_and_processes_must_agree() -> None:
    with pytest.raises(InputError, match="node1 is named twice"):
        parse_hosts("node1:1,node1:1")
    with pytest.raises(InputError, match="has 8 processes and not 2; leave --np out"):
        ranks_on("node1:4,node2:4", 2)


# --- a starter on this machine, which needs no ssh


@pytest.fixture
def obedient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Worker]:
    """Makes workers on `localhost` that do what they are told."""
    (tmp_path / "obedient.py").write_text("import os, sys, time\nexec(open(sys.argv[1]).read())\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def worker(name: str, job: str) -> Worker:
        (tmp_path / f"{name}.job").write_text(job)
        return Worker("obedient", tmp_path / f"{name}.job", tmp_path / f"{name}.log", {"NAME": name}, "localhost")

    return worker


def test_a_starter_gives_its_workers_their_environment(
    tmp_path: Path, obedient: Callable[[str, str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_COORDINATOR", "with a space and a ' quote")
    job = "print(os.environ['NAME'], os.environ['OF_THE_COORDINATOR'])"
    run_everywhere(tmp_path, [obedient("a", job), obedient("b", job)], lambda: None)
    assert (tmp_path / "b.log").read_text() == "b with a space and a ' quote\n"
    assert not list(tmp_path.glob(".shared-*"))


def test_a_starter_names_who_died_and_ends_the_others(tmp_path: Path, obedient: Callable[[str, str], Worker]) -> None:
    workers = [obedient("a", "time.sleep(60)"), obedient("b", "os.kill(os.getpid(), 9)")]
    with pytest.raises(WorkerDied, match=r"host localhost: a worker of obedient was killed by signal 9 .*b\.log"):
        run_everywhere(tmp_path, workers, lambda: None)
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path / "a.job") in (p.info["cmdline"] or [])]


def test_a_starter_ends_with_its_coordinator(tmp_path: Path, obedient: Callable[[str, str], Worker]) -> None:
    obedient("a", "open(sys.argv[1] + '.pid', 'w').write(str(os.getpid())); time.sleep(60)")
    script = (
        "import sys; from pathlib import Path; from catbuilder.rounds.launch.processes import Worker; "
        "from catbuilder.rounds.launch.remote import run_everywhere; folder = Path(sys.argv[1]); "
        "worker = Worker('obedient', folder / 'a.job', folder / 'a.log', {}, 'localhost'); "
        "run_everywhere(folder, [worker], lambda: None)"
    )
    coordinator = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    pid = int(wait_for(lambda: (tmp_path / "a.job.pid").exists() and (tmp_path / "a.job.pid").read_text()))
    coordinator.kill()
    coordinator.wait()
    wait_for(lambda: not psutil.pid_exists(pid), 10.0, 0.05)


def test_threads_are_as_many_as_a_host_can_give_each_process(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    assert threads_on(tmp_path, [Host("localhost", 1)]) == cores
    assert threads_on(tmp_path, [Host("localhost", 2 * cores)]) == 1


def test_a_host_without_an_address_is_named(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"there is no address for host no-such-host\.invalid"):
        threads_on(tmp_path, [Host("no-such-host.invalid", 1)])


# --- two hosts


@dataclass(frozen=True)
class TwoHosts:
    """The hosts of `scripts/study/two_hosts.sh`."""

    folder: Path
    shell: str  # what reaches them
    names: tuple[str, str]

    def __call__(self, verb: str, *more: str) -> None:
        subprocess.run([TWO_HOSTS, verb, self.folder, *more], check=True, timeout=60)

    def workers(self, host: int) -> list[psutil.Process]:
        """What runs on the first or the second host beside sshd."""
        space = f"cb{self.names[0].split('.')[2]}-{host + 2}"
        pids = subprocess.run(["ip", "netns", "pids", space], check=True, capture_output=True, text=True).stdout
        found = []
        for pid in map(int, pids.split()):
            try:
                process = psutil.Process(pid)
                if "sshd" not in process.name() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def start(self, command: CommandLine, *more: object, hosts: str = "") -> subprocess.Popen[str]:
        """Start a round on both, or on those named."""
        arguments = ("round", "--recipe", command.recipe, "--hosts", hosts or f"{self.names[0]}:1,{self.names[1]}:1")
        return command.start(*arguments, *more, np=2, CATBUILDER_RSH=self.shell)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    """Two hosts, set up and taken down again."""
    folder = tmp_path_factory.mktemp("hosts")
    up = subprocess.run([TWO_HOSTS, "up", folder], capture_output=True, text=True)
    if up.returncode == 77:  # what it says is missing
        pytest.skip(f"two hosts untested: {up.stderr.strip()}")
    try:
        assert up.returncode == 0, up.stderr
        settings = dict(line.split("=", 1) for line in up.stdout.splitlines())
        first, second = (host.removesuffix(":1") for host in settings["HOSTS"].split(","))
        yield TwoHosts(folder, settings["CATBUILDER_RSH"], (first, second))
    finally:
        subprocess.run([TWO_HOSTS, "down", folder], check=True, timeout=60)


def finished(process: subprocess.Popen[str], expect: int = 0) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == expect, out + err
    return out + err


@on_two_hosts
def test_two_hosts_killed_and_resumed_give_the_catalogue_of_one_machine(
    hosts: TwoHosts, catbuilder: CommandLine, undisturbed: dict[str, list[tuple[Any, ...]]]
) -> None:
    process = hosts.start(catbuilder)
    wait_for(lambda: epoch_begun(catbuilder.workspace, 1))
    process.kill()
    process.wait()
    wait_for(lambda: not hosts.workers(0) + hosts.workers(1), 20.0, 0.1)
    assert not models(catbuilder.workspace), "killed too late to prove anything"
    assert "training continues after" in finished(hosts.start(catbuilder))
    assert_same_contents(catbuilder.workspace, undisturbed)  # a host has half of the cores, as one of two processes has
    catbuilder("check")


@on_two_hosts
def test_a_host_cut_off_stops_the_round_and_the_one_that_is_left_goes_on_by_a_new_plan(
    hosts: TwoHosts, catbuilder: CommandLine, first_round: Path
) -> None:
    process = hosts.start(catbuilder)
    wait_for(lambda: epoch_begun(catbuilder.workspace, 0), every_s=0.001)
    ranks = [worker for worker in hosts.workers(1) if "catbuilder.network.train" in worker.cmdline()]
    for rank in ranks:  # held, or the training might be over before the cut
        rank.suspend()
    hosts("cut", "3")
    cut_off = time.monotonic()
    for rank in ranks:
        rank.resume()
    try:
        said = finished(process, expect=1)
        assert time.monotonic() - cut_off < 120
        (error,) = [line for line in said.splitlines() if line.startswith("Error")]
        assert f"host {hosts.names[1]} no longer answers" in error and "Traceback" not in said
        left = f"{hosts.names[0]}:1"
        assert error.endswith(f"catbuilder round --replan --hosts {left}")
        assert not models(catbuilder.workspace), "cut off too late to prove anything"
        assert not hosts.workers(0), "the other host was told"
        assert last_steps(catbuilder) == ["planned"]

        said = finished(hosts.start(catbuilder, "--replan", hosts=left))
        assert "training starts again" in said
        wait_for(lambda: not hosts.workers(1), 120.0, 0.5)  # what was cut off ends by itself
    finally:
        hosts("mend", "3")
    plans = rows(catbuilder.workspace, "SELECT number, ranks, hosts, after_step FROM plans ORDER BY number")
    assert plans == [(1, 2, f"{left},{hosts.names[1]}:1", None), (2, 1, left, "planned")]
    assert rows(catbuilder.workspace, "SELECT ranks FROM round_status") == [(1,)]
    if len(os.sched_getaffinity(0)) in (2, 3):  # else a host has more cores than the one that `first_round` ran on
        assert_same_contents(catbuilder.workspace, contents(first_round))
    catbuilder("check")


@on_two_hosts
def test_a_host_that_cannot_be_used_is_named_before_anything_is_planned(
    hosts: TwoHosts, catbuilder: CommandLine
) -> None:
    shell, hosts_now = hosts.shell.replace("ssh ", "ssh -p 1 ", 1), f"{hosts.names[0]}:1"
    process = catbuilder.start("round", "--recipe", catbuilder.recipe, "--hosts", hosts_now, CATBUILDER_RSH=shell)
    said = finished(process, expect=1)
    assert f"host {hosts.names[0]} cannot be used: ssh: connect to host" in said and "Connection refused" in said
    assert not last_steps(catbuilder)
