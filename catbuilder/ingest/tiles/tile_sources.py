"""List the tile files that a user names by folders, files, URLs or a list of these, and bring them here tile by tile.

A tile of URLs is fetched, cut and let go before the next one is fetched, since a survey's tiles fill more disk than its
stamps. What was fetched and cut is noted in a file, so that the same command does not fetch it again. SDSS delivers
frames packed by bzip2, which cannot be read in parts: they are unpacked in the workspace while they are cut.
"""

import bz2
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from catbuilder.core.errors import InputError
from catbuilder.core.files import append_line, exclusive_lock
from catbuilder.core.paths import named_path
from catbuilder.core.safe_text import in_one_line, last_line
from catbuilder.core.tasks import Place, Task, map_tasks
from catbuilder.core.user_csv import Rejection
from catbuilder.ingest.tiles.tile_names import ENDINGS, tile_of

if TYPE_CHECKING:
    from catbuilder.ingest.fetch.polite_client import CutoutClient

TOGETHER = 32
"""Tiles that are planned and cut together; of two tiles of a survey that show an object, the better one is cut."""
TOGETHER_BYTES = 2**30
"""Small tiles are planned and cut together until their files have so many bytes: frames, or cubes of one object."""
_CIRCLE = ("ra", "dec", "radius", "half_ra", "run")  # of a tile that was fetched and cut
_MOST_UNPACKED = 2**28  # bytes; an SDSS frame has 12 MB, and a file of zeros may be packed to a millionth
_READ = 2**20
_URL = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True)
class TileSource:
    """The files of one tile, masks and weights too, as paths or as URLs; cubes of one name may be among them."""

    name: str
    files: tuple[str, ...]

    @property
    def is_remote(self) -> bool:
        """Whether its files must be fetched."""
        return _URL.match(self.files[0]) is not None


def list_tiles(
    given: Sequence[str | Path], listed: str | Path | None = None
) -> tuple[list[TileSource], list[Rejection]]:
    """List the tiles of folders (with their subfolders), files and URLs, and reject names that cannot be used.

    Parameters
    ----------
    listed : a text file with a path or URL a line

    Raises
    ------
    InputError
        A given folder or the list is not there, or there is no FITS file.
    """
    files = [file for one in given for file in _files_of(one)]
    if listed is not None:
        files += _read_list(named_path(listed, "the list of tiles"))
    elif not given:
        raise InputError("no tiles were given; give the folder that holds them, files, or a list of them by --list")
    if not files:
        names = ", ".join(printable_path(one) for one in [*given, *([listed] if listed else [])])
        raise InputError(f"{names} holds no .fits or .fits.fz file; give the folder that holds the tiles")
    tiles: dict[tuple[str, str], list[str]] = {}
    refused = []
    for file in dict.fromkeys(files):
        reason = _unusable(file)
        if reason:
            refused.append(Rejection(printable_path(file), 0, "", reason))
        else:
            folder, name = _split(file)
            tiles.setdefault((folder, tile_of(name)), []).append(file)
    return [TileSource(f"{folder}/{name}", tuple(members)) for (folder, name), members in tiles.items()], refused


def printable_path(path: str | Path) -> str:
    """Return a path as text that can be printed and recorded, with bytes that are not UTF-8 escaped."""
    return str(path).encode(errors="backslashreplace").decode()


def batches(sources: Sequence[TileSource]) -> Iterator[list[TileSource]]:
    """Group tiles into batches, in order: some that lie here, or a single one that must be fetched."""
    batch: list[TileSource] = []
    length = 0
    for source in sources:
        full = len(batch) >= TOGETHER and length >= TOGETHER_BYTES
        if batch and (full or source.is_remote or batch[0].is_remote):
            yield batch
            batch, length = [], 0
        batch.append(source)
        length += 0 if source.is_remote else sum(os.path.getsize(file) for file in source.files)
    if batch:
        yield batch


def _files_of(given: str | Path) -> list[str]:
    if _URL.match(str(given)):
        return [str(given)]
    path = named_path(given, "the folder of tiles").resolve()  # so that `.` has a name, and recorded paths hold
    if printable_path(path) != str(path):
        raise InputError(f"the name of {printable_path(path)} is not UTF-8; rename it")
    if path.is_dir():
        return sorted(str(file) for file in path.rglob("*") if _is_fits(file.name) and file.is_file())
    if not path.exists():
        raise InputError(f"there is no folder or file {path}; give the folder that holds the tiles")
    return [str(path)]


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    except OSError as error:
        raise InputError(
            f"the list {path} cannot be read ({error.strerror}); give a text file of paths or URLs"
        ) from None
    named = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not named:
        raise InputError(f"the list {path} names no file; write a path or URL of a tile's file on each line")
    return [line if _URL.match(line) else os.path.abspath(line) for line in named]


def _is_fits(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def _split(file: str) -> tuple[str, str]:
    """Folder and name of a path or URL."""
    if _URL.match(file):
        folder, _, name = urlsplit(file).path.rpartition("/")
        return f"{file.partition(urlsplit(file).path)[0]}{folder}", unquote(name)
    return str(Path(file).parent), Path(file).name


def _unusable(file: str) -> str | None:
    """The reason why a file cannot be used by its name, or None."""
    _, name = _split(file)
    if printable_path(file) != file:
        return "its name is not UTF-8; rename it"
    if not _is_fits(name):
        return f"its name does not end in {', '.join(ENDINGS[:3])}; give the files of tiles"
    if name.lower().endswith(".gz"):
        return "gzipped files cannot be read in parts; run gunzip on it"
    if not _URL.match(file) and not Path(file).is_file():
        return "there is no such file"
    return None


def polite_client() -> "CutoutClient":
    """Make a client for whole tiles; imported here, since most tiles lie on a disk."""
    from catbuilder.ingest.fetch.polite_client import CutoutClient, RatePolicy

    return CutoutClient(RatePolicy(max_bytes=2**33, answer_timeout_s=3600.0))


class TileFiles:
    """Brings the files of tiles here: fetches those of URLs, unpacks those packed by bzip2, and removes both.

    Parameters
    ----------
    folder : for such files, and for the note of fetched tiles
    survey : in messages
    """

    def __init__(self, folder: Path, survey: str) -> None:
        self._folder, self._survey = folder, survey
        self._client: CutoutClient
        self.origins: dict[str, str] = {}  # what a file that lies in our folder was given as
        self.down = 0  # tiles in a row for which the service was down
        self.given_up = ""

    @contextmanager
    def locked(self, sources: Sequence[TileSource]) -> Iterator[None]:
        """Lock the folder, if these tiles need it, while the body runs: two at once would ask twice as often."""
        if not any(source.is_remote or _packed(source.files) for source in sources):
            yield
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with (
            polite_client() as self._client,
            exclusive_lock(self._folder / "tiles.lock", f"another ingest of tiles of {self._survey} is under way"),
        ):
            shutil.rmtree(self._folder / "here", ignore_errors=True)  # of a command that was killed
            yield

    @contextmanager
    def here(self, batch: Sequence[TileSource], refused: list[Rejection]) -> Iterator[list[list[Path]]]:
        """Bring the files of some tiles here while the body runs; give those of each, and list what has failed."""
        self.origins = {}
        try:
            brought = [self._brought(number, source, refused) for number, source in enumerate(batch)]
            yield self._unpacked(brought, refused)
        finally:
            shutil.rmtree(self._folder / "here", ignore_errors=True)

    def named_as_given(self, rejection: Rejection, source: TileSource) -> Rejection:
        """Name a tile or file as it was given."""
        inside = rejection.file.startswith(str(self._folder / "here"))
        file = self.origins.get(rejection.file, source.name if inside else rejection.file)
        return Rejection(file, rejection.row, rejection.object_id, rejection.reason)

    def _brought(self, number: int, source: TileSource, refused: list[Rejection]) -> list[Path]:
        if not source.is_remote:
            return [Path(file) for file in source.files]
        from catbuilder.ingest.fetch.polite_client import FetchFailed

        folder = self._folder / "here" / str(number)
        found = []
        for url in source.files:
            try:
                found.append(self._client.file(url, folder / _split(url)[1]))
                self.origins[str(found[-1])] = url
                self.down = 0
            except FetchFailed as failed:
                refused.append(Rejection(url, 0, "", f"it could not be fetched: {failed.reason}"))
                self.down += failed.service_is_down
                if failed.come_back_later or self.down >= self._client.policy.give_up_after:
                    self.given_up = failed.reason
                return []  # a tile with a band less gives nothing, and its other files need not be fetched
        return found

    def _unpacked(self, brought: list[list[Path]], refused: list[Rejection]) -> list[list[Path]]:
        places = {
            path: self._folder / "here" / str(number) / f"unpacked-{path.parent.name}" / path.name[: -len(".bz2")]
            for number, files in enumerate(brought)
            for path in _packed(files)
        }
        unpacking = Task(_unpack, "unpacks tiles", lambda piece: [str(piece[0])], self._folder)
        for path, reason in zip(places, map_tasks(unpacking, list(places.items())), strict=True):
            self.origins[str(places[path])] = self.origins.get(str(path), str(path))
            if reason:
                refused.append(Rejection(self.origins[str(places[path])], 0, "", reason))
        return [[place for path in files if (place := places.get(path, path)).exists()] for files in brought]


def _packed(files: Iterable[str | Path]) -> list[Path]:
    return [Path(file) for file in files if str(file).lower().endswith(".bz2")]


def _unpack(piece: tuple[Path, Path], place: Place) -> str:
    """Unpack one file into another; give the reason if that fails."""
    packed, unpacked = piece
    content = bytearray()
    try:
        with bz2.BZ2File(place.find(str(packed))) as file:
            while read := file.read(_READ):
                content += read
                if len(content) > _MOST_UNPACKED:
                    return f"it unpacks to more than {_MOST_UNPACKED:,} bytes; run bunzip2 on it if it is a tile"
    except (OSError, EOFError) as error:
        return f"it cannot be unpacked ({in_one_line(last_line(error))}); fetch it again"
    place.write(unpacked, bytes(content))
    return ""


class FetchedTiles:
    """Notes which tiles were fetched and cut, in `done.jsonl`: their URLs, where they are, and the recording."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "done.jsonl"
        self._noted: dict[tuple[str, ...], list[dict[str, float]]] = {}
        for line in self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else ():
            try:
                row = json.loads(line)
                self._noted[tuple(row["urls"])] = [{key: float(each[key]) for key in _CIRCLE} for each in row["tiles"]]
            except (ValueError, TypeError, KeyError):
                continue  # a line that a kill left half written: that tile is fetched again

    def circles(self, source: TileSource) -> list[dict[str, float]] | None:
        """Give where a fetched tile lies (deg) and after which recording it was cut; None if it was not."""
        return self._noted.get(source.files)

    def note(self, source: TileSource, circles: list[dict[str, float]]) -> None:
        """Note a tile of which all was cut and recorded."""
        append_line(self._file, json.dumps({"urls": source.files, "tiles": circles}))
