"""Move the scores of old rounds from the catalogue to Parquet files (`catbuilder compact`).

300 million scores take 2.6 GB of the catalogue, and old ones are seldom read. They are first written to a file with its
hash, then deleted from the catalogue in the transaction that records the file. The view `predictions` reads both, so
that `catalog_at` of any round answers as before.
"""

from dataclasses import dataclass
from pathlib import Path

from catbuilder.catalogue.connection import fetch_number, literal_path
from catbuilder.catalogue.schema import apply_views
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import CatalogueDamaged, InputError
from catbuilder.core.files import atomic_write, sha256_file
from catbuilder.core.machine import require_space
from catbuilder.core.progress import Reporter

FOLDER = "scores"  # below the workspace
_SCORE_BYTES = 12  # of one object, two classes, as measured in both forms


@dataclass(frozen=True)
class CompactReport:
    """Result of `compact`: what was moved.

    Attributes
    ----------
    models : tuple[int, ...]
        Rounds of the models whose scores were moved.
    scores : int
        Number of scores moved.
    bytes : int
        Size of the files written, bytes.
    freed : int
        Space in the catalogue file that is free for new data, bytes.
    """

    models: tuple[int, ...]
    scores: int
    bytes: int
    freed: int


def compact(workspace: Workspace, keep: int = 3, *, reporter: Reporter | None = None) -> CompactReport:
    """Move the scores of all but the newest models out of the catalogue, into Parquet files.

    Queries still find the scores.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    keep : int
        Number of the newest models whose scores stay in the catalogue; default 3.
    reporter : Reporter, optional
        Shows progress and messages; by default nothing is printed.

    Returns
    -------
    CompactReport
        The models whose scores were moved, the number of scores, and the bytes written and freed.

    Raises
    ------
    WorkspaceBusy
        A round is under way.
    WorkspaceError
        There is not enough disk space for the files.

    Examples
    --------
    >>> catbuilder.compact(workspace, keep=1).models
    """
    if keep < 1:
        raise InputError(f"{keep} models cannot be kept; give 1 or more: the latest is always needed")
    reporter = reporter or Reporter(quiet=True)
    moved, scores, size = [], 0, 0
    with workspace.round_lock():
        with workspace.reading() as con:
            rows = con.execute("SELECT model, count(*) FROM posteriors GROUP BY model ORDER BY model DESC").fetchall()
        require_space(workspace.path, _SCORE_BYTES * sum(n for _, n in rows[keep:]), "the scores of older rounds")
        for model, n in sorted(rows[keep:]):
            reporter.say(f"moving {n:,} scores of the model of round {model}")
            file = _write(workspace, model, n)
            _take_out(workspace, model, file)
            moved.append(model)
            scores, size = scores + n, size + file.stat().st_size
        with workspace.reading() as con:
            freed = fetch_number(con, "SELECT coalesce(sum(free_blocks * block_size), 0) FROM pragma_database_size()")
    return CompactReport(tuple(moved), scores, size, freed)


def _write(workspace: Workspace, model: int, scores: int) -> Path:
    """Write the model's scores to a Parquet file, in the order of the catalogue."""
    with workspace.reading(wait_s=None) as con:
        # objects scored after an earlier `compact` get a file of their own
        number = 1 + fetch_number(con, "SELECT count(*) FROM archives WHERE model = ?", [model])
        file = workspace.path / FOLDER / f"model-{model:05d}-{number:02d}.parquet"
        with atomic_write(file) as temporary:
            con.execute(
                f"COPY (SELECT * FROM posteriors WHERE model = {model} ORDER BY survey, object_id, run) "
                f"TO '{str(temporary).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)"
            )
            text = "SELECT count(*) FROM read_parquet($file, hive_partitioning = false)"
            written = fetch_number(con, text, {"file": literal_path(temporary)})
            if written != scores:
                raise CatalogueDamaged(
                    f"{file} holds {written} of {scores} scores; nothing was moved; give the same command again"
                )
    return file


def _take_out(workspace: Workspace, model: int, file: Path) -> None:
    with workspace.recording(f"compact: model {model}", wait_s=None) as recording:
        con = recording.con
        con.execute(
            "INSERT INTO archives SELECT $model, $file, $sha256, count(*), $round, $run FROM posteriors "
            "WHERE model = $model",
            {"model": model, "file": f"{FOLDER}/{file.name}", "sha256": sha256_file(file), "round": recording.round,
             "run": recording.run},
        )  # fmt: skip
        con.execute("DELETE FROM posteriors WHERE model = ?", [model])
        apply_views(con)
