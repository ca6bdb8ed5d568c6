"""Carry files to nodes of a cluster that do not see them, and what workers write there back home.

What a job or task reads goes through Ray's object store in chunks into a temporary folder of the node, where it is kept
by its SHA-256 until the coordinator ends: a second worker, or a second epoch, asks for nothing again. Only bytes
travel, and nothing in them is unpickled. The other way, new bytes of logs and complete files come with each answer of a
node.
"""

import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from catbuilder.core.cluster import Cluster
from catbuilder.core.errors import LaunchError
from catbuilder.core.files import atomic_move, sha256_file

CHUNK = 8 << 20
_REMOVAL_S = 30.0
_GROWING = (".jsonl", ".log")  # followed while they are written; all others appear complete


@dataclass(frozen=True)
class News:
    """The next bytes of a file that a worker wrote on its node."""

    name: str  # below the folder of the attempt
    offset: int
    size: int  # of the whole file, now
    content: bytes


class NodeFolder:
    """Files on a node: those that were sent, by SHA-256, and one worker's view of the workspace made of them.

    Parameters
    ----------
    key : the same for all workers of one coordinator
    """

    def __init__(self, key: str) -> None:
        base = _base()
        base.mkdir(mode=0o700, exist_ok=True)
        if base.stat().st_uid != os.getuid():
            raise LaunchError(f"{base} belongs to another user; remove it, or set TMPDIR to another folder")
        _remove_left_behind(base, key)
        self._sent = base / key
        self._sent.mkdir(exist_ok=True)
        self._lock = os.open(self._sent, os.O_RDONLY)  # held until this process ends, however it ends
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self.root = Path(tempfile.mkdtemp(prefix="worker-", dir=self._sent))

    def missing(self, digests: set[str]) -> list[str]:
        """List those of the files that have not been sent to this node yet."""
        return sorted(digest for digest in digests if not (self._sent / digest).exists())

    def take(self, digest: str, chunk: bytes, last: bool) -> None:
        """Append to a file that is being sent, and check it when it is complete."""
        draft = self._sent / f".{digest}.{os.getpid()}"
        with open(draft, "ab") as file:
            file.write(chunk)
        if last:
            if sha256_file(draft) != digest:
                raise LaunchError(f"a file arrived damaged in {self._sent}; give the same command again")
            os.replace(draft, self._sent / digest)

    def lay_out(self, files: Mapping[str, str]) -> Path:
        """Show sent files (SHA-256 by name) under their names in the workspace, in a folder; give that."""
        for name, digest in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).unlink(missing_ok=True)
            (self.root / name).symlink_to(self._sent / digest)
        return self.root

    def news(self, folder: Path, known: Mapping[str, int]) -> list[News]:
        """Read on in the files below a folder, from where the coordinator knows them; about one chunk in all."""
        found, room = [], CHUNK
        written = [p for p in folder.rglob("[!.]*") if p.is_file() and not p.is_symlink()]
        # the hashes of a shard say that it is complete: they go last, and the rest as it was written
        for path in sorted(written, key=lambda p: (p.name.startswith("hashes-"), _changed(p))):
            name = str(path.relative_to(folder))
            try:
                with open(path, "rb") as file:
                    size, offset = os.fstat(file.fileno()).st_size, known.get(name, 0)
                    file.seek(offset)
                    content = file.read(room) if size > offset else b""
            except OSError:
                continue  # an older checkpoint, removed since
            if content:
                found.append(News(name, offset, size, content))
                room -= len(content)
            if not room:
                break
        return found

    def leave(self) -> None:
        """Remove the worker's view, and what it wrote."""
        shutil.rmtree(self.root, ignore_errors=True)


class Home:
    """The folder of an attempt in the workspace, into which a node's news are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.known: dict[str, int] = {}

    def write(self, news: News) -> None:
        """Append to a log; let another file appear once it is complete."""
        name = PurePosixPath(news.name)
        if name.is_absolute() or ".." in name.parts:
            raise LaunchError(f"a node sent the file {news.name}, which is outside of its folder; look at that node")
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grows = path.suffix in _GROWING
        place = path if grows else path.with_name(f".{path.name}.arriving")
        with open(place, "ab" if news.offset else "wb") as file:
            file.write(news.content)
            self.known[news.name] = news.offset + len(news.content)
            complete = not grows and self.known[news.name] == news.size
            if complete:
                file.flush()
                os.fsync(file.fileno())
        if complete:
            atomic_move(place, path)


def send(cluster: Cluster, node_id: str, files: Callable[..., Any], root: Path, read: Iterable[Path]) -> Path:
    """Send a node what a job reads and it does not have yet; give the folder that stands for `root` there.

    Parameters
    ----------
    files : calls a method of the worker's `NodeFolder`, by its name
    read : files below `root`
    """
    digests = {str(path.relative_to(root)): sha256_once(path) for path in read}
    paths = {digest: root / name for name, digest in digests.items()}
    with _sending[node_id]:  # the next worker of that node finds them there
        for digest in files("missing", set(paths)):
            for chunk, last in chunks_of(paths[digest]):
                files("take", digest, chunk, last)
        forget_at_end(cluster, node_id)
    there: Path = files("lay_out", digests)
    return there


def forget_at_end(cluster: Cluster, node_id: str) -> None:
    """See to it that a node removes at the end what it was sent."""
    if node_id not in _sent_to[cluster.key]:
        _sent_to[cluster.key].add(node_id)
        cluster.at_end.append(lambda: _forget(cluster.key, node_id))


def _forget(key: str, node_id: str) -> None:
    """Remove from a node what was sent there."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id, soft=False)
    with suppress(ray.exceptions.RayError):  # the node is gone
        ray.get(ray.remote(num_cpus=0, scheduling_strategy=there)(_remove).remote(key), timeout=_REMOVAL_S)


def _remove(key: str) -> None:
    shutil.rmtree(_base() / key, ignore_errors=True)


def chunks_of(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Read a file in chunks, each with whether it is the last; an empty file is one empty chunk."""
    left = path.stat().st_size
    with open(path, "rb") as file:
        while True:
            chunk = file.read(CHUNK)
            left -= len(chunk)
            yield chunk, left <= 0
            if left <= 0:
                return


_sent_to: defaultdict[str, set[str]] = defaultdict(set)  # node ids, by the key of the coordinator
_sending: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # by node
_digests: dict[tuple[Path, int, int], str] = {}


def sha256_once(path: Path) -> str:
    """Compute the SHA-256 of a file; again only if it has changed."""
    found = path.stat()
    place = (path, found.st_size, found.st_mtime_ns)
    if place not in _digests:
        _digests[place] = sha256_file(path)
    return _digests[place]


def _remove_left_behind(base: Path, key: str) -> None:
    """Remove what coordinators that were killed had sent: folders that no process holds."""
    for folder in base.iterdir():
        if folder.name == key or time.time() - _changed(folder) < 60:
            continue
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError:
            continue  # another process was faster
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)


def _base() -> Path:
    return Path(tempfile.gettempdir()) / f"catbuilder-{os.getuid()}"


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
