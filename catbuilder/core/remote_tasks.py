"""Run pieces of work as tasks on the nodes of a Ray cluster.

Ray places each task where a core is free, runs it again elsewhere when its node is lost, and ends all with a dead
coordinator. A node that does not see the files of a task says so once; it then gets them through the object store, and
what the task writes comes back with its answer.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from catbuilder.core.carry import NodeFolder, chunks_of, forget_at_end, sha256_once
from catbuilder.core.cluster import Cluster
from catbuilder.core.tasks import Piece, Place, Result, Task
from catbuilder.core.version import versions_that_matter

_AHEAD = 2  # tasks for each core: the next one is on the node when a task ends
_RETRIES = 3  # when a node is lost


@dataclass(frozen=True)
class _Order:
    """What a node is told of a piece of work: its files (path, size, time of change), and how to get them from us."""

    key: str
    files: tuple[tuple[str, int, int], ...]
    token: Path | None  # a file that says `key` if the node sees where the task writes
    carried: Mapping[str, tuple[str, list[Any]]]  # SHA-256 and the chunks in the object store, by path


@dataclass
class _Answer:
    """What a node answers: that it lacks files, or the result and the files that it could not write in place."""

    node: str
    versions: Mapping[str, str]
    lacks: list[str]
    result: Any = None
    written: dict[Path, tuple[bytes, bool]] = field(default_factory=dict)


def map_on_cluster(cluster: Cluster, task: Task[Piece, Result], pieces: Sequence[Piece]) -> Generator[Result]:
    """Yield the result of each piece, in order, as `map_tasks` does.

    Raises
    ------
    LaunchError
        The cluster has no core, or a node has other versions.
    HostLost
        A node was lost, and the task on others again and again.
    """
    import ray

    remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(_on_node)
    carried: dict[str, tuple[str, list[Any]]] = {}
    running: dict[Any, int] = {}
    done: dict[int, Result] = {}
    begun = yielded = 0

    def begin(number: int) -> None:
        files = [(path, Path(path).stat()) for path in task.reads(pieces[number]) if Path(path).exists()]
        ours = {path: carried[path] for path, _ in files if path in carried}
        order = _Order(cluster.key, tuple((p, s.st_size, s.st_mtime_ns) for p, s in files), token, ours)
        running[remote.remote(task.run, pieces[number], order)] = number

    with cluster.reserved(1, 1, tell=lambda: True, on_gpus=False):
        pass  # there is room now, and we need not hold it
    with _token(task.writes, cluster.key) as token:
        try:
            while yielded < len(pieces):
                while begun < len(pieces) and begun - yielded < _AHEAD * max(cluster.room_for(1, on_gpus=False), 1):
                    begin(begun)
                    begun += 1
                for ready in ray.wait(list(running))[0]:
                    number, answer = running.pop(ready), cluster.get(ready)
                    if answer.versions != _versions():
                        cluster.refuse_other_versions(cluster.name_of(answer.node), answer.versions)
                    for path in answer.lacks:
                        if path not in carried:
                            chunks = [ray.put(chunk) for chunk in chunks_of(Path(path))]
                            carried[path] = sha256_once(Path(path)), chunks
                    if answer.lacks:
                        forget_at_end(cluster, answer.node)
                        begin(number)
                        continue
                    for path, (content, durable) in answer.written.items():
                        Place().write(path, content, durable)
                    done[number] = answer.result
                while yielded in done:
                    yield done.pop(yielded)
                    yielded += 1
        finally:
            for left in running:
                with suppress(Exception):
                    ray.cancel(left, force=True)


@contextmanager
def _token(folder: Path | None, key: str) -> Iterator[Path | None]:
    """Make a file that says our key, by which a node knows the folder; a killed coordinator leaves one, and no more."""
    token = folder and folder / ".shared"
    if token:
        token.parent.mkdir(parents=True, exist_ok=True)
        token.write_text(key)
    try:
        yield token
    finally:
        if token:
            token.unlink(missing_ok=True)


def _on_node(run: Callable[[Any, Place], Any], piece: Any, order: _Order) -> _Answer:
    """Run a piece of work where Ray has placed it."""
    import ray

    answer = _Answer(ray.get_runtime_context().get_node_id(), _versions(), [])
    unseen = [path for path, size, changed in order.files if not _sees(path, size, changed)]
    answer.lacks = [path for path in unseen if path not in order.carried]
    if answer.lacks:
        return answer
    root = Path("/")
    if unseen:
        folder, sent = _folder(order.key), {path: order.carried[path] for path in unseen}
        missing = folder.missing({digest for digest, _ in sent.values()})
        for digest, chunks in {digest: chunks for digest, chunks in sent.values() if digest in missing}.items():
            for chunk in chunks:
                folder.take(digest, *ray.get(chunk))
        root = folder.lay_out({path.lstrip("/"): digest for path, (digest, _) in sent.items()})
    try:
        sees = order.token is None or order.token.read_text() == order.key
    except OSError:
        sees = False
    answer.result = run(piece, _NodePlace(root, set(unseen), None if sees else answer.written))
    return answer


class _NodePlace(Place):
    """Files on a node: those that it sees under their own paths, and those that were sent."""

    def __init__(self, root: Path, sent: set[str], written: dict[Path, tuple[bytes, bool]] | None) -> None:
        self._root, self._sent, self._written = root, sent, written

    def find(self, path: str) -> str:
        return str(self._root / path.lstrip("/")) if path in self._sent else path

    def write(self, path: Path, content: bytes, durable: bool = True) -> None:
        if self._written is None:
            super().write(path, content, durable)
        else:
            self._written[path] = content, durable


def _sees(path: str, size: int, changed: int) -> bool:
    try:
        found = Path(path).stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (size, changed)


_folder = lru_cache(None)(NodeFolder)  # held until this process ends
_versions = lru_cache(None)(versions_that_matter)
