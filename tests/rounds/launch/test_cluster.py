"""Rounds on a Ray cluster of several nodes, which are processes of this machine with one core each."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from support.coadd_tile import tile_wcs, write_tile
from support.command_line import CommandLine, wait_for
from support.contents import assert_same_contents, rows
from support.needs import needs_horovod
from support.new_workspace import create_workspace
from support.ray_settings import ray_settings
from support.round_state import epoch_begun, last_steps, models
from support.workspaces import write_csv

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.cluster import FEWER, HERE, Cluster, connected
from catbuilder.core.errors import InputError, LaunchError, WorkerDied
from catbuilder.ingest.images import ingest_images
from catbuilder.rounds.launch.cluster import run_apart, run_together
from catbuilder.rounds.launch.processes import Worker
from catbuilder.simulation.galaxies import SurveyPlan
from catbuilder.simulation.survey import simulate

STORE_BYTES = 80_000_000
ENDS_S = 15.0  # after the coordinator was killed


class Nodes:
    """A head node without a core, and nodes of one core."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        self.ray = RayCluster()
        self.by_name: dict[str, Any] = {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.add("head", num_cpus=0, include_dashboard=False, ray_client_server_port=port)
        self.address: str = self.ray.address
        self.from_outside = f"ray://127.0.0.1:{port}"

    def add(self, name: str, **settings: Any) -> None:
        settings = {"num_cpus": 1, "object_store_memory": STORE_BYTES} | settings
        self.by_name[name] = self.ray.add_node(node_name=name, **settings)

    def kill(self, name: str) -> None:
        self.ray.remove_node(self.by_name.pop(name), allow_graceful=False)

    def workers(self, word: str) -> dict[str, list[psutil.Process]]:
        """Worker processes whose command line contains a word, by the name of their node."""
        raylets = {node.all_processes["raylet"][0].process.pid: name for name, node in self.by_name.items()}
        found: dict[str, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            try:
                if any(word in text for text in process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    for parent in process.parents():
                        if parent.pid in raylets:
                            found.setdefault(raylets[parent.pid], []).append(process)
            except psutil.Error:
                continue
        return found

    def have(self, *names: str) -> None:
        """See to it that these nodes of one core are up, and no others."""
        for name in [name for name in self.by_name if name not in ("head", *names)]:
            self.kill(name)
        for name in names:
            if name not in self.by_name:
                self.add(name)
        wait_for(lambda: len(cores(self)) == len(self.by_name))  # one that was killed is listed for a while


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """The cluster."""
    with ray_settings():
        made = Nodes()
        try:
            yield made
        finally:
            made.ray.shutdown()


def no_process_of_ours(nodes: Nodes, catbuilder: CommandLine) -> None:
    wait_for(lambda: not catbuilder.processes() and not nodes.workers("Attendant"), ENDS_S, 0.1)


def start(nodes: Nodes, catbuilder: CommandLine, *more: object, np: int = 2) -> subprocess.Popen[str]:
    """Start a round on the cluster."""
    arguments = (*catbuilder.round_arguments(np), "--cluster", nodes.address, *more)
    return catbuilder.start(*arguments, np=2)


def finished(process: subprocess.Popen[str], expect: int = 0) -> str:
    out, err = process.communicate(timeout=300)
    assert process.returncode == expect, out + err
    return out + err


def killed(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.communicate()


# --- whole rounds


@pytest.mark.slow
@needs_horovod
def test_a_round_that_loses_coordinators_and_nodes_gives_the_catalogue_of_one_machine(
    nodes: Nodes, catbuilder: CommandLine, undisturbed: dict[str, list[tuple[Any, ...]]]
) -> None:
    nodes.have("a", "b")
    process = start(nodes, catbuilder)
    wait_for(lambda: epoch_begun(catbuilder.workspace, 1))
    assert set(nodes.workers("catbuilder.network.train")) == {"a", "b"}
    said = catbuilder(*catbuilder.round_arguments(2), "--cluster", nodes.address, expect=1)
    assert "a round is under way" in said, "a second coordinator"
    killed(process)
    no_process_of_ours(nodes, catbuilder)
    assert not models(catbuilder.workspace), "killed too late to prove anything"

    process = start(nodes, catbuilder)
    wait_for(lambda: epoch_begun(catbuilder.workspace, 1, attempt=2))
    nodes.kill("b")
    said = finished(process, expect=1)
    assert "training continues after" in said and "Traceback" not in said
    (error,) = [line for line in said.splitlines() if line.startswith("Error")]
    assert "node b was lost" in error and error.endswith("by a new plan: catbuilder round --replan --np 1")
    no_process_of_ours(nodes, catbuilder)
    assert last_steps(catbuilder) == ["planned"]

    nodes.have("a", "late")
    process = start(nodes, catbuilder)
    wait_for(lambda: nodes.workers("catbuilder.network.score"))
    killed(process)
    no_process_of_ours(nodes, catbuilder)

    process = start(nodes, catbuilder)
    wait_for(lambda: set(nodes.workers("catbuilder.network.score")) == {"a", "late"})
    nodes.kill("late")
    finished(process)
    assert_same_contents(catbuilder.workspace, undisturbed)  # a node has one core, as one of two processes has
    catbuilder("check")


@pytest.mark.slow
@needs_horovod
def test_a_round_on_a_node_that_does_not_see_the_workspace_gives_the_same_catalogue(
    nodes: Nodes, catbuilder: CommandLine, undisturbed: dict[str, list[tuple[Any, ...]]], tmp_path: Path
) -> None:
    with node_that_does_not_see(nodes, catbuilder.workspace, tmp_path, 2):
        process = start(nodes, catbuilder)
        wait_for(lambda: epoch_begun(catbuilder.workspace, 1) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        killed(process)
        no_process_of_ours(nodes, catbuilder)
        (left,) = tmp_path.glob("catbuilder-*/*")
        os.utime(left, (0, 0))  # as if it had been there for long
        assert "training continues after" in finished(start(nodes, catbuilder))
    assert_same_contents(catbuilder.workspace, undisturbed)
    assert not list(tmp_path.glob("catbuilder-*/*")), "a node keeps nothing"


@contextmanager
def node_that_does_not_see(nodes: Nodes, folder: Path, temporary: Path, cpus: int) -> Iterator[None]:
    """The only node with cores, from which a folder is hidden."""
    nodes.have()
    hide = f"mount -t tmpfs none {folder}"
    begin = f"exec ray start --block --address {nodes.address} --num-cpus {cpus} --object-store-memory {STORE_BYTES}"
    node = subprocess.Popen(
        ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "bash", "-c", f"{hide} && {begin}"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
    )
    try:
        up = [{}, {"CPU": float(cpus)}]  # the head, and this one
        wait_for(lambda: sorted(cores(nodes), key=len) == up)
        yield
    finally:
        node.terminate()
        node.wait(60)


def cores(nodes: Nodes) -> list[dict[str, float]]:
    """The cores of each node that is up."""
    alive = [row["Resources"] for row in nodes.ray.global_state.node_table() if row["Alive"]]
    return [{name: number for name, number in each.items() if name == "CPU"} for each in alive]


# --- stamps, images and simulated galaxies


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiles that overlap, a table of the galaxies on them, and what is cut from them here."""
    folder = tmp_path_factory.mktemp("tiles")
    rng = np.random.default_rng(3)
    for name, ra in (("A", 20.0), ("B", 20.015)):
        planes = rng.normal(0, 3, (3, 300, 300)).astype(np.float32)
        planes[:, 60:66, 60:90] = np.nan
        write_tile(folder / "tiles", name, planes, tile_wcs(300, ra), masks=False)
    places = np.column_stack([20.0 + rng.uniform(-0.01, 0.025, 400), -10.0 + rng.uniform(-0.01, 0.01, 400)])
    rows = [(number, *place, 2.0) for number, place in enumerate(places.tolist(), start=1)]
    write_csv(folder / "objects.csv", ("object_id", "ra", "dec", "radius_arcsec"), *rows)
    cut(CommandLine(create_workspace(folder / "here").path, Path()), folder)
    return folder


def cut(catbuilder: CommandLine, tiles: Path, *more: object) -> None:
    catbuilder(*cutting(tiles), *more)


def cutting(tiles: Path) -> tuple[object, ...]:
    return "ingest", "tiles", tiles / "tiles", "--survey", "des", "--objects", tiles / "objects.csv"


def stamps(workspace: Path) -> tuple[list[tuple[Any, ...]], dict[str, bytes]]:
    """What is recorded of each stamp, and the bytes of all shards."""
    recorded = rows(workspace, "SELECT * EXCLUDE (round, run) FROM standing_stamps_at() ORDER BY object_id")
    return recorded, {path.name: path.read_bytes() for path in workspace.rglob("stamps/*/*.npy")}


def nothing_runs(nodes: Nodes, catbuilder: CommandLine) -> None:
    wait_for(lambda: not catbuilder.processes() and not nodes.workers("_on_node"), ENDS_S, 0.1)


def test_tiles_cut_on_nodes_that_are_lost_by_coordinators_that_are_killed_give_the_same_bytes(
    nodes: Nodes, tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = stamps(tiles / "here")
    held = max((tiles / "here").rglob("stamps/*/*.npy"), key=lambda path: path.stat().st_size).name
    nodes.have()
    monkeypatch.setenv("CATBUILDER_FAULT", f"{held}.begun:hold")  # its process is stopped, as if it took for ever
    nodes.add("slow")
    monkeypatch.delenv("CATBUILDER_FAULT")
    nodes.have("slow")
    catbuilder = CommandLine(create_workspace(tmp_path / "ws").path, Path())

    def is_stopped() -> bool:
        return any(one.status() == psutil.STATUS_STOPPED for one in nodes.workers("_on_node").get("slow", []))

    process = catbuilder.start(*cutting(tiles), "--cluster", nodes.address, np=2)
    wait_for(lambda: is_stopped() or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    killed(process)
    nothing_runs(nodes, catbuilder)
    process = catbuilder.start(*cutting(tiles), "--cluster", nodes.address, np=2)
    wait_for(is_stopped)
    nodes.have("slow", "a", "b")
    nodes.kill("slow")
    finished(process)
    assert stamps(catbuilder.workspace) == expected
    assert not (catbuilder.workspace / ".shared").exists()
    cut(catbuilder, tiles, "--cluster", nodes.address)
    assert stamps(catbuilder.workspace) == expected
    catbuilder("check")


def test_without_a_shared_path_stamps_images_and_galaxies_are_the_same(
    nodes: Nodes, tiles: Path, tmp_path: Path
) -> None:
    hidden, workspace = tmp_path / "hidden", tmp_path / "hidden" / "ws"
    shutil.copytree(tiles, hidden)
    galaxies = SurveyPlan(training=4, hp=0, fo=0, calibration=0, pool=14, faults=0)
    simulate(tmp_path / "drawn", galaxies, processes=1)
    with node_that_does_not_see(nodes, hidden, tmp_path, 1):
        cut(CommandLine(create_workspace(workspace).path, Path()), hidden, "--cluster", nodes.address)
        simulate(hidden / "drawn", galaxies, cluster=nodes.address)
        images = {path.name: path for path in (hidden / "drawn" / "sources" / "des" / "pool").glob("*.png")}
        table = write_csv(tmp_path / "images.csv", ("object_id", "file"), *[(Path(n).stem, n) for n in sorted(images)])
        report = ingest_images(
            Workspace.open(workspace), hidden / "drawn" / "sources" / "des" / "pool", table, survey="sdss",
            cluster=nodes.address,
        )  # fmt: skip
    here, there = (
        [(p.name, p.read_bytes()) for p in sorted(f.rglob("*.png"))] for f in (tmp_path / "drawn", hidden / "drawn")
    )
    assert here == there and len(here) >= 18
    assert report.added == len(images)
    recorded, shards = stamps(workspace)
    expected, bytes_of = stamps(tiles / "here")
    strip = [tuple(str(value).replace(str(hidden), str(tiles)) for value in row) for row in recorded if row[0] == "des"]
    assert strip == [tuple(map(str, row)) for row in expected]
    assert bytes_of.items() <= shards.items()
    assert not list(tmp_path.glob("catbuilder-*/*")), "a node keeps nothing"


# --- workers that do what they are told, which need no PyTorch


OBEDIENT = """
import os, sys, time
from catbuilder.core.processes import end_with_parent
end_with_parent(0)
exec(open(sys.argv[1]).read())
"""


@pytest.fixture
def obedient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Worker]:
    """Makes them."""
    (tmp_path / "obedient.py").write_text(OBEDIENT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def worker(name: str, job: str) -> Worker:
        (tmp_path / f"{name}.job").write_text(job)
        return Worker("obedient", tmp_path / f"{name}.job", tmp_path / f"{name}.log", {"NAME": name})

    return worker


@pytest.fixture
def cluster(nodes: Nodes) -> Iterator[Cluster]:
    with connected(nodes.address) as found:
        assert found
        yield found


def test_processes_are_placed_where_there_is_room_and_on_nodes_that_join_late(
    nodes: Nodes, cluster: Cluster, obedient: Callable[[str, str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.have("a")
    monkeypatch.setenv("CATBUILDER_OF_THE_COORDINATOR", "with a space and a ' quote")
    job = "print(os.environ['NAME'], os.environ['CATBUILDER_OF_THE_COORDINATOR'], flush=True); time.sleep(3)"
    workers = [obedient(name, job) for name in "uvwx"]
    used = set[str]()

    def watch() -> None:
        used.update(nodes.workers("obedient"))
        if used == {"a"}:
            nodes.have("a", "late")

    run_apart(cluster, workers, 1, watch, 0)
    assert used == {"a", "late"}
    assert workers[3].log.read_text() == "x with a space and a ' quote\n"
    assert not list(workers[0].log.parent.glob(".shared-*"))


def test_a_process_is_started_again_when_its_node_is_lost_and_when_it_is_killed(
    nodes: Nodes, cluster: Cluster, obedient: Callable[[str, str], Worker], tmp_path: Path
) -> None:
    nodes.have("a", "b")
    once = "seen = sys.argv[1] + '.seen'; old = os.path.exists(seen); open(seen, 'w'); "
    workers = [obedient("u", once + "old or time.sleep(60)"), obedient("v", once + "old or os.kill(os.getpid(), 9)")]
    lost: list[str] = []

    def lose_one() -> None:
        for name in nodes.workers("u.job") if not lost and (tmp_path / "u.job.seen").exists() else ():
            nodes.kill(name)
            lost.append(name)

    run_apart(cluster, workers, 1, lose_one, 2)
    assert lost
    with pytest.raises(WorkerDied, match=r"node .: a worker of obedient ended with exit code 1: no"):
        run_apart(cluster, [obedient("w", "sys.exit('Error: no')")], 1, lambda: None, 2)


def test_the_killed_rank_is_named_and_the_others_are_ended(
    nodes: Nodes, cluster: Cluster, obedient: Callable[[str, str], Worker]
) -> None:
    nodes.have("a", "b")
    workers = [obedient("u", "time.sleep(3); sys.exit('the other is gone')"), obedient("v", "os.kill(os.getpid(), 9)")]
    with pytest.raises(WorkerDied, match=r"node [ab]: a worker of obedient was killed by signal 9 .*v\.log"):
        run_together(cluster, workers, 1, lambda: None)
    workers = [obedient("u", "time.sleep(60)"), obedient("v", "os.kill(os.getpid(), 9)")]
    with pytest.raises(WorkerDied, match="killed by signal 9"):
        run_together(cluster, workers, 1, lambda: None)
    wait_for(lambda: not nodes.workers("obedient"), ENDS_S, 0.05)


def test_more_ranks_than_there_is_room_for_are_refused_with_what_the_command_can_do(nodes: Nodes) -> None:
    nodes.have("a", "b")
    with connected(nodes.address, otherwise=FEWER) as of_a_round:
        assert of_a_round and of_a_round.threads_for(2) == 1
        with pytest.raises(LaunchError, match=r"3 processes of 1 core each .* room for 2; .* --replan --np 2$"):
            of_a_round.threads_for(3)
        with connected(nodes.address, otherwise=HERE) as of_tiles, pytest.raises(LaunchError) as told:
            assert of_tiles
            of_tiles.require_room(1, 2)
    assert str(told.value) == (
        "1 process of 2 cores each was asked for, and the nodes of the cluster have room for 0; add nodes, or leave "
        "--cluster out to work on this machine"
    )


def test_a_command_that_waits_for_room_says_so_once(nodes: Nodes, tmp_path: Path) -> None:
    nodes.have("a")
    said: list[str] = []
    held = threading.Event()
    with connected(nodes.address, said.append) as cluster:
        assert cluster

        def hold() -> None:
            with cluster.reserved(1, 1):
                held.set()
                wait_for(lambda: said, 60)
                time.sleep(3)  # a second time would be told by now

        with ThreadPoolExecutor(1) as other:
            other.submit(hold)
            held.wait(60)
            with cluster.reserved(1, 1, tell=lambda: True):
                pass
    assert said == [f"waiting for 1 CPU on the cluster at {nodes.address}"]


COORDINATOR = """
import sys
from pathlib import Path
from catbuilder.core.cluster import connected
from catbuilder.rounds.launch.cluster import run_apart
from catbuilder.rounds.launch.processes import Worker
address, job = sys.argv[1], Path(sys.argv[2])
with connected(address) as cluster:
    run_apart(cluster, [Worker("obedient", job, job.with_suffix(".log"), {})], 1, lambda: None, 0)
"""


def kill_coordinator(address: str, worker: Worker) -> list[psutil.Process]:
    """Start a coordinator whose worker sleeps, kill it, and give the worker's and its own processes."""
    worker.job.write_text("open(sys.argv[1] + '.pid', 'w').write(str(os.getpid())); time.sleep(120)")
    coordinator = subprocess.Popen([sys.executable, "-c", COORDINATOR, address, worker.job])
    pid_file = Path(f"{worker.job}.pid")
    wait_for(lambda: coordinator.poll() is not None or (pid_file.exists() and pid_file.read_text()), 300)
    started = psutil.Process(coordinator.pid).children(recursive=True)
    killed(coordinator)
    return [psutil.Process(int(pid_file.read_text())), *started]


def test_a_worker_ends_with_a_coordinator_outside_of_the_cluster(
    nodes: Nodes, obedient: Callable[[str, str], Worker]
) -> None:
    nodes.have("a")
    _, left = psutil.wait_procs(kill_coordinator(nodes.from_outside, obedient("u", "")), ENDS_S)
    assert not [process.cmdline() for process in left]


def test_a_cluster_of_this_machine_alone_ends_with_its_coordinator(
    obedient: Callable[[str, str], Worker],
) -> None:
    with ray_settings():
        processes = kill_coordinator("local", obedient("u", ""))
        assert len(processes) > 5
        _, left = psutil.wait_procs(processes, ENDS_S)
    assert not [process.cmdline() for process in left]


# --- what people write


@pytest.mark.parametrize("address", ["nodes", "node1:4,node2:4", "ray://", "-x:1", "http://node:80"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with (
        pytest.raises(InputError, match="give --cluster auto, local, ray://HOST:PORT"),
        connected(address),
    ):
        pass


def test_a_cluster_that_does_not_answer_is_named() -> None:
    with socket.socket() as taken:  # bound, but it does not listen
        taken.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LaunchError, match=f"{address} cannot be reached .*Connection refused"), connected(address):
            pass


def test_ray_is_asked_for_where_it_is_missing(catbuilder: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = catbuilder(*catbuilder.round_arguments(), "--cluster", "auto", expect=1)
    assert "pip install 'catbuilder[cluster]'" in said and not rows(catbuilder.workspace, "SELECT * FROM plans")


def test_hosts_are_not_named_any_more(catbuilder: CommandLine) -> None:
    said = catbuilder(*catbuilder.round_arguments(), "--hosts", "node1:4,node2:4", expect=1)
    assert "Error: --hosts is gone" in said and "--cluster auto" in said
