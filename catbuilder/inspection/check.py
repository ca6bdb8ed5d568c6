"""Check the integrity of the catalogue and its files. Each check is one query, or one pass over the files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_number
from catbuilder.catalogue.database import read_everything
from catbuilder.catalogue.id_ranges import queries_each_range
from catbuilder.catalogue.round_records import RoundPlan, read_plan
from catbuilder.catalogue.stamp_check import damaged_shards
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import sha256_file
from catbuilder.core.progress import Update
from catbuilder.core.resources import query, sql_folder
from catbuilder.core.safe_text import counted
from catbuilder.decisions.certificate_check import check_certificates
from catbuilder.inspection.check_files import damaged_round_files, truncated_log
from catbuilder.inspection.check_scores import differing_scores
from catbuilder.sets.rendering_bias import rendering_warnings

_ROUNDS_WHOLE = "Manifests, scores, features and checkpoints of every round are unchanged."
_SCORES_KEPT = "Recorded scores are those in the score files, and their calibrated confidences follow from them."
_BY_OBJECT = "-- Object by object."


@dataclass(frozen=True)
class Finding:
    """The result of one check: the promise that it verifies, and what breaks it.

    Attributes
    ----------
    check : str
        Name of the check.
    promise : str
        What should be true.
    faults : tuple[str, ...]
        The first ten faults, a sentence each.
    count : int
        Number of all faults.
    warnings : tuple[str, ...]
        Sentences on what breaks no promise, but a person should look at.
    """

    check: str
    promise: str
    faults: tuple[str, ...]
    count: int
    warnings: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        """Say how the check ended: ok, warning, or the number of faults."""
        return counted(self.count, "fault") if self.count else "warning" if self.warnings else "ok"


@dataclass(frozen=True)
class CheckReport:
    """The results of all checks.

    Attributes
    ----------
    findings : tuple[Finding, ...]
        One for each check.
    """

    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def is_sound(self) -> bool:
        """Tell whether every promise is kept; warnings do not count."""
        return not any(finding.count for finding in self.findings)

    def table(self) -> pa.Table:
        """Return one row per check: check, result, promise."""
        return pa.Table.from_pylist(
            [{"check": one.check, "result": one.result, "promise": one.promise} for one in self.findings]
        )

    def sentences(self) -> list[str]:
        """Return the faults and warnings as sentences, the first ten faults of each check."""
        faults = [f"{finding.check}: {fault}" for finding in self.findings for fault in finding.faults]
        return faults + [f"warning: {text}" for finding in self.findings for text in finding.warnings]


def check(workspace: Workspace, *, deep: bool = False, progress: Update | None = None) -> CheckReport:
    """Check that the catalogue and its files are intact.

    The checks are the queries in `sql/checks`, the rendering bias, the certificates and the files.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    deep : bool
        Also read every byte: verify catalogue blocks, stamps, manifests, scores and checkpoints by their hashes, and
        compare the recorded scores with the files. This takes longer. Default False.
    progress : callable, optional
        Called with the numbers of files done and in all.

    Returns
    -------
    CheckReport
        A finding for each check. `is_sound` is True if no check fails.

    Examples
    --------
    >>> report = catbuilder.check(workspace, deep=True)
    >>> report.is_sound, report.sentences()
    """
    progress = progress or (lambda done, of: None)
    log = truncated_log(workspace)
    with workspace.reading() as con:
        findings = _run_queries(con, {file.stem: file.read_text(encoding="utf-8") for file in _queries()})
        findings.append(_renderings(con))
        findings.append(_certificates(con))
        stamps = con.execute(query("inspection/recorded_shards")).fetchall()
        models = con.execute(query("catalogue/model_files")).fetchall()
        rounds = [number for (number,) in con.execute("SELECT round FROM rounds ORDER BY round").fetchall()]
        plans = [read_plan(con, number) for number in rounds] if deep else []
        archived = dict(con.execute("SELECT file, sha256 FROM archives ORDER BY file").fetchall()) if deep else {}
        if deep:
            read_everything(con)
    hashes = {name: sha256 for name, _, sha256 in stamps} if deep else {}
    findings.append(_stamp_shards(workspace, stamps, damaged_shards(workspace.path, hashes, progress)))
    findings.append(_models(workspace, models, progress))
    findings.append(_finding("recordings", "No recording was interrupted half-way.", log))
    if deep:
        damaged = {plan.round: damaged_round_files(workspace, [plan]) for plan in plans}
        findings.append(_finding("rounds", _ROUNDS_WHOLE, [fault for faults in damaged.values() for fault in faults]))
        faults = [f"{name} is missing or damaged" for name in damaged_shards(workspace.path, archived, progress)]
        findings.append(_finding("archives", "Archived scores are the files that were recorded.", faults))
        findings.append(_scores(workspace, [] if faults else [plan for plan in plans if not damaged[plan.round]]))
    return CheckReport(tuple(findings))


def _queries() -> list[Path]:
    return sorted((sql_folder() / "checks").glob("*.sql"))


def _run_queries(con: Connection, texts: dict[str, str]) -> list[Finding]:
    """Run the queries of `sql/checks`: the rows of one are the faults, its first comment line is the promise.

    Queries whose second line is `_BY_OBJECT` treat each object separately, and run on one range of ids at a time.
    """
    by_object = {name: text for name, text in texts.items() if text.splitlines()[1] == _BY_OBJECT}
    faults: dict[str, list[str]] = {name: [] for name in by_object}
    for answers in queries_each_range(con, list(by_object.values())):
        for name, (_, rows) in zip(by_object, answers, strict=True):
            faults[name] += [str(row[0]) for row in rows]
    for name in texts.keys() - by_object.keys():
        faults[name] = [str(row[0]) for row in con.execute(texts[name]).fetchall()]
    return [
        _finding(name.partition("_")[2], text.splitlines()[0].removeprefix("-- "), faults[name])
        for name, text in texts.items()
    ]


def _renderings(con: Connection) -> Finding:
    """Warn if the rendering of the images predicts the class; only the user can judge that."""
    trained = fetch_number(con, "SELECT coalesce(max(round), 0) FROM training")
    told = rendering_warnings(con, trained) if trained else {}
    coming = rendering_warnings(con, None)
    warnings = [
        f"in the training set of round {trained}{' and of the next' if name in coming else ''}, {sentence}"
        for name, sentence in told.items()
    ]
    warnings += [f"in the training set of the next round, {coming[name]}" for name in coming if name not in told]
    return Finding("renderings", "No class has a rendering of its own.", (), 0, tuple(warnings))


def _certificates(con: Connection) -> Finding:
    rounds = con.execute("SELECT DISTINCT round FROM steps WHERE step = 'decided' ORDER BY round").fetchall()
    faults = [fault for (number,) in rounds for fault in check_certificates(con, read_plan(con, number))]
    promise = "Every certificate can be recomputed from the catalogue: calibration objects, errors, bounds, batch."
    return _finding("certificates", promise, faults)


def _scores(workspace: Workspace, plans: list[RoundPlan]) -> Finding:
    """Compare the recorded scores of rounds, whose files are undamaged, with these files."""
    with workspace.reading() as con:
        found = [differing_scores(con, workspace, plan) for plan in plans]
    faults = tuple(fault for said, _ in found for fault in said)
    return Finding("scores", _SCORES_KEPT, faults[:10], sum(count for _, count in found))


def _finding(name: str, promise: str, faults: list[str]) -> Finding:
    return Finding(name, promise, tuple(faults[:10]), len(faults))


def _stamp_shards(workspace: Workspace, shards: list[tuple[str, int, str]], damaged: list[str]) -> Finding:
    """Check that every shard has the rows that the catalogue refers to, and is the file that was written."""
    import numpy as np

    faults = []
    for name, rows, _ in shards:
        try:
            found = np.load(workspace.path / name, mmap_mode="r", allow_pickle=False).shape
        except (OSError, EOFError, ValueError) as error:
            faults.append(f"{name} cannot be read: {error}")
            continue
        size = workspace.config.stamp_size
        if found[0] < rows or found[1:] != (size, size, 3):
            faults.append(f"{name} has the shape {found}, but the catalogue needs {rows} stamps of {size} x {size} px")
        if name in damaged:
            faults.append(f"{name} is not the file that was recorded: its hash differs")
    return _finding("stamps", "Every stamp is in its shard; with --deep, every shard is unchanged.", faults)


def _models(workspace: Workspace, models: list[tuple[str, str]], progress: Update) -> Finding:
    faults = []
    for done, (name, sha256) in enumerate(models, start=1):
        path = workspace.path / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif sha256_file(path) != sha256:
            faults.append(f"{name} is not the file that was recorded: its hash differs")
        progress(done, len(models))
    return _finding("models", "Every model is the recorded file, by its hash.", faults)
