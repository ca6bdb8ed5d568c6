"""Open a workspace folder, read its catalogue, and record changes in transactions with a log."""

import difflib
import json
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from catbuilder.catalogue.connection import Connection, require_readable_folder, roll_back
from catbuilder.catalogue.database import connect
from catbuilder.catalogue.latest_round_and_run import last_event, last_recording, last_round
from catbuilder.catalogue.schema import classes_of
from catbuilder.core.errors import CatalogueDamaged, ConfigError, InputError, WorkspaceBusy, WorkspaceError
from catbuilder.core.files import append_line, exclusive_lock
from catbuilder.core.interrupts import defer_interrupts
from catbuilder.core.kill_points import fault_point
from catbuilder.core.paths import named_path
from catbuilder.core.resources import query
from catbuilder.core.settings import WorkspaceConfig, did_you_mean, load_settings
from catbuilder.core.user_csv import Rejection
from catbuilder.core.version import __version__

if TYPE_CHECKING:
    from catbuilder.core.recipe import Recipe

_MAX_FOLDERS = 1000  # searched for the workspace that the user may have meant


@dataclass
class Recording:
    """An open transaction on the catalogue: all of it is recorded, or nothing."""

    con: Connection
    run: int  # number of this recording, column `run` of every row it writes
    round: int  # the round that new rows belong to: the next one to be planned
    note: dict[str, Any] = field(default_factory=dict)  # more entries for the line in log.jsonl


@dataclass(frozen=True)
class Workspace:
    """An existing workspace. Make one with `create_workspace`, open one with `Workspace.open`."""

    path: Path
    config: WorkspaceConfig
    patience_s: float = 60.0  # longest wait of a reader while another command records

    @classmethod
    def open(cls, path: str | Path) -> "Workspace":
        """Open an existing workspace.

        Raises
        ------
        WorkspaceError
            The folder does not exist or is not a workspace.
        ConfigError
            A setting in `catbuilder.toml` is wrong.
        """
        path = named_path(path, "the folder of the workspace").resolve()
        require_readable_folder(path)
        if not (path / "catbuilder.toml").is_file():
            what = "is not a workspace" if path.is_dir() else "does not exist"
            near = _workspaces_near(path)
            also = f"; there is one in {near[0]}: name it with -w {near[0]}, or" if near else ";"
            raise WorkspaceError(f"{path} {what}{also} make one with: catbuilder init {path}")
        if not (path / "catalog.duckdb").exists() and not (path / "log.jsonl").exists():
            raise WorkspaceError(
                f"there is no catalogue in {path} yet, only a catbuilder.toml; make it with: catbuilder init {path}"
            )
        return cls(path, load_settings(path / "catbuilder.toml", WorkspaceConfig))

    @property
    def catalog_file(self) -> Path:
        """Path of the DuckDB file."""
        return self.path / "catalog.duckdb"

    @property
    def log_file(self) -> Path:
        """Path of the log: one JSON line for each recording, synced before the command continues."""
        return self.path / "log.jsonl"

    def round_folder(self, number: int) -> Path:
        """Give the folder of a round's plan, manifests, attempts, model and scores."""
        return self.path / "rounds" / f"{number:03d}"

    def check_survey(self, survey: str) -> None:
        """Raise InputError if `catbuilder.toml` has no such survey."""
        if survey not in self.config.surveys:
            hint = did_you_mean(survey, list(self.config.surveys))
            raise InputError(
                f"unknown survey '{survey}'; this workspace has {', '.join(self.config.surveys)}{hint}; if it is "
                f"another, add a line [surveys.{survey}] to {self.path / 'catbuilder.toml'} and give the command again"
            )

    def recipe(self, recipe: "Recipe | str | Path | None" = None) -> "Recipe":
        """Read a recipe given by name or path; by default the one that `catbuilder.toml` names.

        Raises
        ------
        ConfigError
            There is no such recipe, or a key in it is unknown, missing or out of range.
        """
        from catbuilder.core.recipe import Recipe, load_recipe  # here, since most commands need none

        return recipe if isinstance(recipe, Recipe) else load_recipe(recipe or self.config.recipe)

    @contextmanager
    def reading(self, wait_s: float | None = 60.0) -> Iterator[Connection]:
        """Open a read-only connection for a short time; wait while another process writes."""
        wait_s = None if wait_s is None else min(wait_s, self.patience_s)
        with connect(self.catalog_file, wait_s=wait_s) as con:
            self._compare(con)
            yield con

    @contextmanager
    def recording(self, what: str = "", wait_s: float | None = 60.0) -> Iterator[Recording]:
        """Run the body in one transaction, then checkpoint and log it; roll it back if the body raises."""
        name = re.sub(r"\W+", "-", what)  # at fault points
        with self._only_thread(wait_s), connect(self.catalog_file, read_only=False, wait_s=wait_s) as con:
            self._compare(con)
            con.begin()
            run = last_recording(con) + 1
            recording = Recording(con, run, last_round(con) + 1)
            con.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, now())",
                [run, what or " ".join(sys.argv), __version__, socket.gethostname()],
            )
            try:
                yield recording
            except BaseException:
                roll_back(con)
                raise
            with defer_interrupts("once this step is recorded"):
                self._commit(recording, name)
                con.close()
                self._log(recording, name)

    @contextmanager
    def _only_thread(self, wait_s: float | None) -> Iterator[None]:
        """Let one thread record at a time: DuckDB lets threads share a file, and two would take the same numbers."""
        lock = _recording.setdefault(self.path, Lock())
        if not lock.acquire(timeout=-1 if wait_s is None else wait_s):
            raise WorkspaceBusy(f"another thread of this process is recording in {self.path}; give the command again")
        try:
            yield
        finally:
            lock.release()

    def _commit(self, recording: Recording, name: str) -> None:
        con = recording.con
        try:
            recording.note["events"] = last_event(con)
            fault_point(f"{name}.before_commit")
            con.commit()
        except BaseException:
            roll_back(con)
            raise
        fault_point(f"{name}.committed")
        con.execute("CHECKPOINT")
        fault_point(f"{name}.checkpointed")

    def _log(self, recording: Recording, name: str) -> None:
        """Append the recording to the log, once the catalogue's file holds it and is closed."""
        fault_point(f"{name}.closed")
        entry = {"run": recording.run, "time": datetime.now(UTC).isoformat(), **recording.note}
        append_line(self.log_file, json.dumps(entry))
        fault_point(f"{name}.logged")

    @contextmanager
    def round_lock(self) -> Iterator[None]:
        """Lock the workspace for a round: two at once would train the same round twice."""
        with exclusive_lock(self.path / "round.lock", f"a round is under way in {self.path}"):
            yield

    def _compare(self, con: Connection) -> None:
        """Raise an error if the catalogue does not fit the log or the settings."""
        self._compare_with_log(con)
        made_for = classes_of(con)
        if made_for != self.config.classes:
            raise ConfigError(
                f"{self.path / 'catbuilder.toml'} names the classes {', '.join(self.config.classes)}, the catalogue "
                f"was made for {', '.join(made_for)}; put them back, or make another workspace with: catbuilder init "
                f"WORKSPACE --classes {','.join(self.config.classes)}"
            )

    def _compare_with_log(self, con: Connection) -> None:
        """Raise an error if the catalogue lacks a recording of the log, as after a truncated write-ahead log."""
        last = _last_line(self.log_file)
        if last is None:
            return
        run = last_recording(con)
        events = last_event(con)
        if run < last["run"] or events < last["events"]:
            raise CatalogueDamaged(
                f"{self.catalog_file} ends at recording {run} (label event {events}) but {self.log_file.name} has "
                f"recording {last['run']} (label event {last['events']}): something recorded was lost; put the "
                f"catalogue back from a backup with: catbuilder restore BACKUP {self.path} (what is there is kept)"
            )


def open_workspace(path: str | Path = ".") -> Workspace:
    """Open a workspace that was made before.

    Parameters
    ----------
    path : str or Path
        Folder of the workspace; by default the current folder.

    Returns
    -------
    Workspace
        Every other call of the library takes it as its first argument.

    Raises
    ------
    WorkspaceError
        The folder does not exist or is not a workspace.
    ConfigError
        Its `catbuilder.toml` cannot be read.

    Examples
    --------
    >>> workspace = catbuilder.open_workspace("des-y1")
    >>> workspace.config.classes
    ('elliptical', 'spiral')
    """
    return Workspace.open(path)


_recording: dict[Path, Lock] = {}  # by workspace


def _workspaces_near(path: Path) -> list[Path]:
    """Find workspaces above or below a folder, or, if there is no such folder, beside it with a similar name."""
    if path.is_dir():
        around = [*path.parents[:3], *_folders_in(path)]
    else:
        beside = {folder.name: folder for folder in _folders_in(path.parent)}
        around = [beside[name] for name in difflib.get_close_matches(path.name, beside)]
    return [folder for folder in around if (folder / "catbuilder.toml").is_file()]


def _folders_in(path: Path) -> list[Path]:
    try:
        return sorted(folder for folder in path.iterdir() if folder.is_dir())[:_MAX_FOLDERS]
    except OSError:
        return []


def _last_line(path: Path) -> dict[str, int] | None:
    """Read the last complete line of the log; a truncated line was never confirmed to the user."""
    if not path.exists():
        return None
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 65536))
        lines = file.read().split(b"\n")
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and "run" in entry:
            return entry
    return None


def record_rejections(recording: Recording, rejections: Sequence[Rejection]) -> None:
    """Record rejected rows in the table `rejections`."""
    if not rejections:
        return
    import pyarrow as pa  # imported here, so that commands that do not need it start faster

    table = pa.table(
        {
            "file": [r.file for r in rejections],
            "row": pa.array([r.row for r in rejections], pa.int64()),
            "object_id": [r.object_id for r in rejections],
            "reason": [r.reason for r in rejections],
        }
    )
    recording.con.register("incoming_rejections", table)
    recording.con.execute(
        "INSERT INTO rejections BY NAME SELECT *, ? AS round, ? AS run FROM incoming_rejections",
        [recording.round, recording.run],
    )


def replace_older(recording: Recording, table: str) -> None:
    """Record that rows of this recording replace the older ones of the same objects in `stamps` or `splits`."""
    recording.con.execute(
        query("catalogue/record_replaced").format(table=table),
        {"table": table, "round": recording.round, "run": recording.run},
    )
