"""Verify the checksums of stamp shards before training and scoring.

A bit flipped on disk would silently change a galaxy's image. A command hashes each shard once, on all cores, at about
2 GB/s for each core; a network takes hours for the same bytes.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import CatalogueDamaged
from catbuilder.core.files import sha256_file
from catbuilder.core.machine import usable_cores
from catbuilder.core.progress import Reporter, Update

_whole: set[tuple[Path, int, int, int]] = set()  # shards that this process has hashed: path, inode, size, time


def verify_stamps(workspace: Workspace, reporter: Reporter) -> None:
    """Verify the checksum of every stamp shard of the catalogue.

    Raises
    ------
    CatalogueDamaged
        A shard is missing or differs from what was recorded; the message names it, and how many more.
    """
    with workspace.reading(wait_s=None) as con:
        recorded = dict(con.execute("SELECT shard, any_value(sha256) FROM shards GROUP BY shard").fetchall())
    with reporter.bar("checking stamps") as update:
        damaged = damaged_shards(workspace.path, recorded, update)
    if damaged:
        more = f" (and {len(damaged) - 1} more: catbuilder check --deep lists them)" if len(damaged) > 1 else ""
        raise CatalogueDamaged(
            f"{workspace.path / damaged[0]} is missing or not the file that was recorded{more}, so nothing is trained "
            f"or scored; put it back from a backup (there it is {damaged[0]}), then give the same command again"
        )


def damaged_shards(workspace: Path, recorded: Mapping[str, str], update: Update) -> list[str]:
    """List the shards that are missing or whose SHA-256 is not the recorded one."""
    damaged = []
    with ThreadPoolExecutor(usable_cores()) as pool:
        found = pool.map(lambda name: _is_whole(workspace / name, recorded[name]), recorded)
        for done, (name, whole) in enumerate(zip(recorded, found, strict=True), start=1):
            if not whole:
                damaged.append(name)
            update(done, len(recorded))
    return damaged


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        state = path.stat()
        key = (path, state.st_ino, state.st_size, state.st_mtime_ns)
        if key not in _whole and sha256_file(path) != sha256:
            return False
    except OSError:
        return False
    _whole.add(key)
    return True
