"""Back up a workspace and restore it: the catalogue as of one recording, and every file it names, with checksums.

A backup holds `stamps/`, `rounds/` and `releases/` as in the workspace, the catalogue with settings and log in
`catalogue-<n>/`, and `backup.json`. That file is written last, so that an interrupted backup leaves the previous one
intact. Files that are already in the backup are not copied again. Attempts of an unfinished round are left out, since
they can be made again.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from catbuilder.catalogue.connection import Connection
from catbuilder.catalogue.database import read_everything
from catbuilder.catalogue.latest_round_and_run import last_recording
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import CatalogueDamaged, CatbuilderError, InputError, WorkspaceError
from catbuilder.core.files import (
    atomic_move,
    atomic_write,
    exclusive_lock,
    quarantine,
    read_checksums,
    sha256_file,
    write_text,
)
from catbuilder.core.paths import folder_to_write, named_path
from catbuilder.core.progress import Update
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.version import __version__

CATALOGUE_FILES = ("catbuilder.toml", "log.jsonl", "catalog.duckdb.wal", "catalog.duckdb")
_MANIFEST = "backup.json"


class _BackupFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    size: int  # bytes
    mtime_ns: int  # of the original


class Backup(BaseModel):
    """Content of `backup.json`: the folder of the catalogue, and every file by its path in the workspace."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    catbuilder: str
    made_at: datetime
    workspace: str
    recording: int  # the last one in the backup
    catalogue: str = Field(pattern=r"^catalogue-\d{4,9}$")  # folder of settings, log and catalogue
    files: dict[str, _BackupFile]

    @field_validator("files")
    @classmethod
    def _of_a_workspace(cls, files: dict[str, _BackupFile]) -> dict[str, _BackupFile]:
        """Check that every path stays inside the workspace, and that settings and catalogue are among the files."""
        for name in files:
            if not name or Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"{name} leads out of the workspace")
        if not {"catbuilder.toml", "catalog.duckdb"} <= files.keys():
            raise ValueError("it has no catalogue")
        return files

    def place(self, name: str) -> str:
        """Give the path in the backup of a file of the workspace."""
        return f"{self.catalogue}/{name}" if name in CATALOGUE_FILES else name


@dataclass(frozen=True)
class BackupReport:
    """Result of `backup`.

    Attributes
    ----------
    recording : int
        Number of the recording that was copied.
    copied : int
        Number of files copied.
    copied_bytes : int
        Size of these files, bytes.
    unchanged : int
        Number of files that the backup had already.
    damaged : tuple[str, ...]
        Files of the workspace that differ from what was recorded; they were not copied.
    """

    recording: int
    copied: int
    copied_bytes: int
    unchanged: int
    damaged: tuple[str, ...]


def backup(workspace: Workspace, dest: str | Path, *, progress: Update | None = None) -> BackupReport:
    """Copy the workspace to `dest`, as of one recording; a round may train meanwhile.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    dest : str or Path
        Folder of the backup; it is made if it is not there. A later backup copies only files that changed.
    progress : callable, optional
        Called with the numbers of files done and in all.

    Returns
    -------
    BackupReport
        The recording that was copied, numbers of files copied and unchanged, bytes copied, and damaged files.

    Raises
    ------
    InputError
        `dest` holds other files or another workspace's backup, or is inside the workspace.
    WorkspaceBusy
        Another backup to `dest` is under way.

    Examples
    --------
    >>> catbuilder.backup(workspace, "/backup/des-y1").damaged
    """
    dest = folder_to_write(dest, "the folder of the backup").resolve()
    _earlier(workspace, dest)  # before anything is written there
    dest.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(dest / ".lock", f"a backup to {dest} is under way"):
        return _backup(workspace, dest, progress)


def _backup(workspace: Workspace, dest: Path, progress: Update | None) -> BackupReport:
    before = _earlier(workspace, dest)
    number = 1 if before is None else int(before.catalogue.rpartition("-")[2]) + 1
    place = dest / f"catalogue-{number:04d}"
    shutil.rmtree(place, ignore_errors=True)  # left by an interrupted backup
    with workspace.reading(wait_s=None) as con:
        recording = last_recording(con)
        recorded = _recorded(con) | _released(workspace.path)
        copy_catalogue(workspace, place)
    files = {name: _entry(place / name, workspace.path / name) for name in CATALOGUE_FILES if (place / name).exists()}
    copied, size, unchanged, damaged = len(files), sum(file.size for file in files.values()), 0, []
    files |= _lost_releases(before, workspace.path) if before else {}
    names = [*recorded, *(name for name in _of_rounds(workspace.path) if name not in recorded)]
    names += [str(sums.relative_to(workspace.path)) for sums in _sums(workspace.path)]
    for done, name in enumerate(names, start=1):
        known = before.files.get(name) if before else None
        entry = _unchanged(workspace.path / name, dest / name, known, recorded.get(name))
        if entry is not None:
            unchanged += 1
        elif (entry := _copy(workspace.path / name, dest / name, recorded.get(name))) is not None:
            copied, size = copied + 1, size + entry.size
        elif name in recorded:
            damaged.append(name)
            entry = known  # an earlier backup may have it undamaged
        if entry is not None:
            files[name] = entry
        if progress:
            progress(done, len(names))
    found = Backup(
        catbuilder=__version__, made_at=datetime.now(UTC), workspace=str(workspace.path), recording=recording,
        catalogue=place.name, files=files,
    )  # fmt: skip
    write_text(dest / _MANIFEST, found.model_dump_json(indent=1))
    if before is not None:
        shutil.rmtree(dest / before.catalogue, ignore_errors=True)
    return BackupReport(recording, copied, size, unchanged, tuple(damaged))


def restore(source: str | Path, place: str | Path, *, progress: Update | None = None) -> list[str]:
    """Restore a workspace from a backup, checking every file by its hash.

    If `place` is a workspace with an undamaged catalogue, only damaged stamps, models and releases are put back. A
    workspace with a damaged catalogue is renamed and kept.

    Parameters
    ----------
    source : str or Path
        Folder of the backup.
    place : str or Path
        New folder, or the damaged workspace.
    progress : callable, optional
        Called with the numbers of files done and in all.

    Returns
    -------
    list of str
        One sentence for each thing done.

    Raises
    ------
    InputError
        `source` is not a backup.
    CatalogueDamaged
        The backup itself is damaged; nothing was changed.
    WorkspaceError
        `place` is a workspace without damage, or holds other files.

    Examples
    --------
    >>> catbuilder.restore("/backup/des-y1", "des-y1")
    """
    source = named_path(source, "the folder of the backup")
    place = named_path(place, "the folder of the workspace").resolve()
    found = _read(source)
    _refuse_no_workspace(place)
    folder_to_write(place)
    if (place / "catbuilder.toml").exists() and (standing := _whole_workspace(place)) is not None:
        return _put_files_back(found, source, standing)
    draft = place.with_name(f".{place.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)
    for done, (name, entry) in enumerate(found.files.items(), start=1):
        if _copy(source / found.place(name), draft / name, entry.sha256) is None:
            shutil.rmtree(draft)
            raise CatalogueDamaged(
                f"{source / found.place(name)} is missing or not what was backed up; nothing was restored, so use "
                "another backup"
            )
        if progress:
            progress(done, len(found.files))
    said = []
    if place.exists() and any(place.iterdir()):
        said.append(f"{place} was damaged and is kept as {quarantine(place)}.")
    elif place.exists():
        place.rmdir()
    atomic_move(draft, place)
    when = f"{found.made_at:%Y-%m-%d %H:%M} UTC"
    return [
        *said,
        f"{place} is as it was at recording {found.recording}, backed up {when}: {counted(len(found.files), 'file')}.",
    ]


def copy_catalogue(workspace: Workspace, place: Path) -> None:
    """Copy settings, log and catalogue into a folder; call it while an open read-only connection keeps writers out.

    The catalogue is copied last: when a process closes a file, it loses all its locks on it (fcntl), DuckDB's included.
    A write-ahead log exists only after a kill.
    """
    for name in CATALOGUE_FILES:
        if (workspace.path / name).exists():
            with atomic_write(place / name) as temporary:
                shutil.copyfile(workspace.path / name, temporary)


def _recorded(con: Connection) -> dict[str, str]:
    """List stamp shards, models and archived scores with the hashes recorded in the catalogue."""
    archives = con.execute("SELECT file, sha256 FROM archives ORDER BY file").fetchall()
    shards = con.execute("SELECT shard, any_value(sha256) FROM shards GROUP BY shard ORDER BY shard").fetchall()
    return dict([*shards, *con.execute(query("catalogue/model_files")).fetchall(), *archives])


def _sums(workspace: Path) -> list[Path]:
    """List the checksum files of its releases."""
    return sorted(workspace.glob("releases/[!.]*/SHA256SUMS"))


def _released(workspace: Path) -> dict[str, str]:
    """List the files of releases with the hashes in each release's own SHA256SUMS."""
    return {
        f"{sums.parent.relative_to(workspace)}/{name}": digest
        for sums in _sums(workspace)
        for name, digest in read_checksums(sums).items()
        if name and "/" not in name  # a damaged list may name paths outside
    }


def _lost_releases(found: Backup, workspace: Path) -> dict[str, _BackupFile]:
    """List a backup's files of releases that the workspace no longer has, or whose SHA256SUMS it no longer has."""
    standing = {sums.parent.name for sums in _sums(workspace)}
    releases = {name: file for name, file in found.files.items() if name.startswith("releases/")}
    return {name: file for name, file in releases.items() if Path(name).parts[1] not in standing}


def _of_rounds(workspace: Path) -> Iterable[str]:
    """List files of rounds, except those of attempts, hidden files and damaged files kept aside."""
    for path in sorted(workspace.glob("rounds/[0-9][0-9][0-9]/**/*")):
        name = path.relative_to(workspace)
        if (
            path.is_file()
            and "attempts" not in name.parts
            and not path.name.startswith(".")
            and ".damaged-" not in path.name
        ):
            yield str(name)


def _entry(copy: Path, original: Path) -> _BackupFile:
    return _BackupFile(sha256=sha256_file(copy), size=copy.stat().st_size, mtime_ns=original.stat().st_mtime_ns)


def _unchanged(original: Path, copy: Path, known: _BackupFile | None, sha256: str | None) -> _BackupFile | None:
    """Give the entry of a file that need not be copied again: unchanged since the last backup, and still in it."""
    if known is None or not original.exists() or not copy.exists() or copy.stat().st_size != known.size:
        return None
    same = (original.stat().st_size, original.stat().st_mtime_ns) == (known.size, known.mtime_ns)
    return known if same and sha256 in (None, known.sha256) else None


def _copy(original: Path, copy: Path, sha256: str | None) -> _BackupFile | None:
    """Copy a file and give its entry; if it is missing or has another hash, copy nothing and give None."""
    try:
        with atomic_write(copy) as temporary:
            shutil.copyfile(original, temporary)
            entry = _entry(temporary, original)
            if sha256 not in (None, entry.sha256):
                raise _OtherFile
            if copy.parent.parent.name == "releases":
                temporary.chmod(0o444)  # as they were released
    except (FileNotFoundError, _OtherFile):
        return None
    return entry


class _OtherFile(Exception):
    """The copied file has another hash than the recorded one."""


def _earlier(workspace: Workspace, dest: Path) -> Backup | None:
    """Read the backup that exists already; raise InputError if it is not this workspace's."""
    if dest.is_relative_to(workspace.path):
        raise InputError(f"{dest} is inside the workspace, and would be lost with it; name a folder on another disk")
    if not (dest / _MANIFEST).exists():
        others = dest.is_file() or any(dest.glob("[!.]*"))
        if others and not (dest / "catalogue-0001").exists():
            raise InputError(f"{dest} holds files that are not a backup; name an empty folder")
        return None
    found = _read(dest)
    if found.workspace != str(workspace.path) and Path(found.workspace).exists():
        raise InputError(f"{dest} is the backup of {found.workspace}; name another folder for {workspace.path}")
    return found


def _read(source: Path) -> Backup:
    try:
        return Backup.model_validate_json((source / _MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{source} is not a backup: it has no {_MANIFEST}; make one with: catbuilder backup DEST"
        ) from None
    except (ValidationError, UnicodeDecodeError):
        raise CatalogueDamaged(f"{source / _MANIFEST} is damaged; nothing was restored: use another backup") from None


def _refuse_no_workspace(place: Path) -> None:
    """Raise WorkspaceError for a folder with other files, which would otherwise be renamed as a damaged workspace."""
    if not place.exists():
        return
    names = {path.name for path in place.iterdir()} if place.is_dir() else {place.name}
    if names and not names & {*CATALOGUE_FILES, "stamps", "rounds"}:
        raise WorkspaceError(f"{place} holds files that are not a workspace; name an empty or a new folder")


def _whole_workspace(place: Path) -> Workspace | None:
    """Open the workspace; give None if any block of its catalogue cannot be read."""
    try:
        workspace = Workspace.open(place)
        with workspace.reading(wait_s=None) as con:
            read_everything(con)
    except CatbuilderError:
        return None
    return workspace


def _put_files_back(found: Backup, source: Path, workspace: Workspace) -> list[str]:
    with workspace.reading() as con:
        recorded = _recorded(con) | _released(workspace.path)
    recorded |= {name: file.sha256 for name, file in _lost_releases(found, workspace.path).items()}
    said = []
    for name, sha256 in recorded.items():
        file = workspace.path / name
        if file.exists() and sha256_file(file) == sha256:
            continue
        entry = found.files.get(name)
        if entry is None or entry.sha256 != sha256:
            said.append(f"{name} is damaged, and the backup does not have it.")
            continue
        draft = file.with_name(f".{file.name}.restoring")
        if _copy(source / name, draft, sha256) is None:
            said.append(f"{name} is damaged here and in the backup.")
            continue
        kept = f"; the damaged one is kept as {quarantine(file).name}" if file.exists() else ""
        atomic_move(draft, file)
        said.append(f"{name} is put back{kept}.")
    if not said:
        raise WorkspaceError(
            f"{workspace.path} is a workspace without damage; to go back to the backup all the same, name another "
            "folder, or move this one away"
        )
    return said
