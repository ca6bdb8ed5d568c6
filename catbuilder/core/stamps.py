"""Store and read stamps: uint8 (n, size, size, 3) shards in `.npy` files, written once and memory-mapped."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from catbuilder.core.errors import ConfigError, WorkspaceError
from catbuilder.core.files import atomic_write
from catbuilder.core.safe_text import in_one_line

if TYPE_CHECKING:
    import pyarrow as pa

Stamps = npt.NDArray[np.uint8]

SHARD_ROWS = 8192  # 100 MB at 64 px: small enough to write in one go, large enough that 10^8 objects make few files


def write_shard(workspace: Path, survey: str, stamps: Stamps) -> str:
    """Write one shard and return its path below the workspace, `stamps/<survey>/<content>.npy`.

    The name is a hash of the content. A repeated ingest therefore writes the same file, so that manifests, which name
    it, do not change; and two ingests at once never write different stamps to one file.

    Parameters
    ----------
    stamps : uint8 array (n, size, size, 3)
    """
    stamps = np.ascontiguousarray(stamps)
    name = shard_name(survey, stamps)
    if not (workspace / name).exists():
        with atomic_write(workspace / name) as temporary:
            np.save(temporary, stamps)
    return name


def shard_name(survey: str, stamps: Stamps) -> str:
    """Give the path of a shard below the workspace."""
    return f"stamps/{survey}/{hashlib.sha256(stamps.tobytes()).hexdigest()[:16]}.npy"


def require_stamp_size(workspace: Path, stamp_size: int) -> None:
    """Check that new stamps are as wide as those stored already.

    Raises
    ------
    ConfigError
        They are not, because `stamp_size` was changed.
    WorkspaceError
        A stored shard cannot be read.
    """
    # A hidden file is a partial one that `atomic_write` left when it was killed.
    written = (path for path in (workspace / "stamps").glob("*/*.npy") if not path.name.startswith("."))
    path = next(written, None)
    if path is None:
        return
    size = int(_mapped(path).shape[1])
    if size != stamp_size:
        raise ConfigError(
            f"catbuilder.toml says stamp_size = {stamp_size}, but the stored stamps are {size} px "
            f"wide; set it back to {size}, or make another workspace"
        )


class StampReader:
    """Reads stamps by their position in a manifest; a slice gives them too, so that it can stand for an array of them.

    A memory-mapped file counts as an open one, and a process may often have no more than 1,024, while the stamps of a
    survey are in tens of thousands of shards. So only the shards used last stay mapped.

    Parameters
    ----------
    workspace : path of the workspace
    shards : shard of each row, as recorded in the catalogue (n,): a list or an Arrow column
    rows : row inside that shard (n,)

    Raises
    ------
    WorkspaceError
        A shard is missing or damaged.
    """

    def __init__(self, workspace: Path, shards: "Sequence[str] | pa.ChunkedArray", rows: npt.ArrayLike) -> None:
        import pyarrow as pa  # here: it takes a tenth of a second, and many commands need none of it

        column = shards if isinstance(shards, pa.ChunkedArray) else pa.chunked_array([shards], pa.string())
        encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
        used, self._shard = np.unique(encoded.indices.to_numpy(zero_copy_only=False), return_inverse=True)
        self._files = [workspace / name for name in encoded.dictionary.take(pa.array(used)).to_pylist()]
        self._rows = np.asarray(rows, dtype=np.int64)
        self._maps: dict[int, Stamps] = {}
        needed = np.zeros(len(self._files), np.int64)
        np.maximum.at(needed, self._shard, self._rows + 1)
        for place, (file, count) in enumerate(zip(self._files, needed, strict=True)):
            if (stored := len(self._map(place))) < count:
                raise _damaged(file, f"it holds {stored:,} stamps but {count:,} were recorded")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: slice) -> Stamps:
        return self.read(np.arange(len(self))[rows])

    @property
    def size(self) -> int:
        """Width of the stamps, px."""
        return int(self._map(0).shape[1])

    def read(self, positions: npt.ArrayLike) -> Stamps:
        """Read the stamps at these positions: uint8 (n, size, size, 3)."""
        wanted = np.asarray(positions, dtype=np.int64)
        stamps = np.empty((len(wanted), self.size, self.size, 3), np.uint8)
        for shard in np.unique(self._shard[wanted]):
            here = np.flatnonzero(self._shard[wanted] == shard)
            stamps[here] = self._map(int(shard))[self._rows[wanted[here]]]
        return stamps

    def _map(self, place: int) -> Stamps:
        """Give the memory-mapped shard, and let go of the one that was not used for longest."""
        stamps = self._maps.pop(place, None)
        self._maps[place] = stamps = _mapped(self._files[place]) if stamps is None else stamps
        if len(self._maps) > _MAPPED:
            del self._maps[next(iter(self._maps))]
        return stamps


_MAPPED = 256  # shards of one reader


def _mapped(path: Path) -> Stamps:
    """Memory-map a shard."""
    try:
        stamps: Stamps = np.load(path, mmap_mode="r", allow_pickle=False)
        if stamps.dtype != np.uint8 or stamps.ndim != 4 or stamps.shape[1] != stamps.shape[2] or stamps.shape[3] != 3:
            raise ValueError(f"it holds {stamps.dtype} of {stamps.shape}")
    # NumPy evaluates the header as Python's literals: ValueError, EOFError, OverflowError, TokenError, SyntaxError ...
    except Exception as error:
        raise _damaged(path, in_one_line(error)) from None
    return stamps


def _damaged(path: Path, why: str) -> WorkspaceError:
    return WorkspaceError(
        f"the stored stamps {path} are damaged ({why}); put the file back from a backup, "
        "and look for more damage with: catbuilder check --deep"
    )
