"""Releases: a catalogue as it was published, with all that it takes to cite, read and check it. Never changed again.

A release is a folder `releases/VERSION` of a closed round. It is made under a temporary name and renamed when it is
whole; its files are read-only, and SHA256SUMS lists every one, as `sha256sum --check` reads it.
"""

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row
from catbuilder.catalogue.round_records import read_plan, require_closed
from catbuilder.catalogue.schema import Column, data_dictionary
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ConfigError, ReleaseError, RoundError
from catbuilder.core.files import (
    atomic_move,
    atomic_write,
    exclusive_lock,
    read_sums,
    sha256_file,
    sync_folder,
    write_text,
)
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.core.settings import ReleaseSettings
from catbuilder.decisions.certificates import in_words, read_certificates
from catbuilder.exports.cds import write_cds
from catbuilder.exports.export import export
from catbuilder.exports.provenance import collect_provenance
from catbuilder.exports.release_documents import (
    ReleaseContents,
    acknowledgements,
    cds_readme,
    certificates_md,
    changes_md,
    citation_cff,
    datacite_json,
    dictionary_csv,
    dictionary_md,
    selection_sql,
)
from catbuilder.exports.rows import export_columns, open_selection
from catbuilder.inspection.round_diff import RoundDiff, diff

FORMATS = ("fits", "parquet", "cds", "votable", "csv")
DEFAULT_FORMATS = ("fits", "parquet", "cds")

_FILES = {"fits": "catalog.fits", "parquet": "catalog.parquet", "votable": "catalog.vot", "csv": "catalog.csv"}
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SUMS, _ABOUT = "SHA256SUMS", "provenance.json"


@dataclass(frozen=True)
class ReleaseReport:
    """What was released."""

    folder: Path
    round: int
    rows: int
    files: tuple[str, ...]
    previous: str | None  # the release before


@dataclass(frozen=True)
class _Written:
    """What the files of the catalogue hold."""

    rows: int
    surveys: frozenset[str]
    label_sources: frozenset[str | None]
    line_bytes: int | None  # of a line of catalog.dat, where there is one


def release(
    workspace: Workspace,
    version: str,
    *,
    at: int | None = None,
    where: str | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    reporter: Reporter | None = None,
) -> ReleaseReport:
    """Publish the catalogue as of a closed round in `releases/VERSION`.

    Who made it stands in `catbuilder.toml` under `[release]`.

    Parameters
    ----------
    version : letters, digits, '.', '_' and '-'; each is given once
    at : as of the end of this round; by default the last closed one
    where : an SQL condition on the columns of `catalog`
    formats : some of `FORMATS`

    Raises
    ------
    ReleaseError
        There is a release of that version or of the same DOI, or its name or a format is none.
    ConfigError
        `catbuilder.toml` does not say who made it and under which licence.
    RoundError
        There is no such round, or it is not closed, or none is.
    QueryError
        The condition is not valid.
    WorkspaceBusy
        Another release is under way.
    """
    reporter = reporter or Reporter(quiet=True)
    settings = _complete(workspace)
    place = _place(workspace, version, formats)
    place.parent.mkdir(exist_ok=True)
    with exclusive_lock(place.parent / ".lock", f"another release of {workspace.path} is under way"):
        draft = place.with_name(f".{version}.draft")
        for killed in place.parent.glob(".*.draft"):
            shutil.rmtree(killed, ignore_errors=True)
        earlier = list_releases(workspace)
        _refuse_doi_again(workspace, settings.doi, earlier)
        draft.mkdir()
        with workspace.reading() as con:
            at = _closed(con) if at is None else at
            require_closed(con, at)
        previous = max(earlier, key=lambda one: one["created"], default=None)
        try:
            report = _fill(workspace, settings, draft, version, at, where, formats, previous, reporter)
            _seal(draft)
            atomic_move(draft, place)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    return ReleaseReport(place, *report)


def list_releases(workspace: Workspace) -> list[dict[str, Any]]:
    """What each release says of itself, in the order of their names: version, round, objects, created ..."""
    found = []
    for file in sorted((workspace.path / "releases").glob(f"[!.]*/{_ABOUT}")):
        try:
            found.append(json.loads(file.read_text(encoding="utf-8")))
        except ValueError:
            raise ReleaseError(_damaged(file.parent.name, f"{_ABOUT} is no JSON")) from None
    return found


def verify_release(workspace: Workspace, version: str) -> int:
    """Compare every file of a release with its checksum, and return how many there are.

    Raises
    ------
    ReleaseError
        There is no such release, or a file of it is missing, changed, or not one of its own.
    """
    folder = workspace.path / "releases" / version
    if not _VERSION.fullmatch(version) or not folder.is_dir():
        known = ", ".join(_versions(workspace)) or "none yet"
        raise ReleaseError(
            f"there is no release {version} in {workspace.path} (there is {known}); make it "
            f"with: catbuilder release {version}"
        )
    if not (folder / _SUMS).is_file():
        raise ReleaseError(_damaged(version, f"{_SUMS} is missing"))
    sums = read_sums(folder / _SUMS)
    # what `restore` has put back leaves the damaged file beside it
    there = {file.name for file in folder.iterdir() if ".damaged-" not in file.name} - {_SUMS}
    for name in sorted(sums.keys() | there):
        if name not in there:
            raise ReleaseError(_damaged(version, f"{name} is missing"))
        if name not in sums:
            raise ReleaseError(_damaged(version, f"{name} was not released"))
        if sha256_file(folder / name) != sums[name]:
            raise ReleaseError(_damaged(version, f"{name} is not what was released"))
    return len(sums)


def verify_releases(workspace: Workspace) -> dict[str, int]:
    """Compare every file of every release with its checksum, and return how many each has.

    Raises
    ------
    ReleaseError
        There is no release, or a file of one is missing, changed, or not one of its own; all such releases are named.
    """
    counts, faults = {}, []
    for version in _versions(workspace):
        try:
            counts[version] = verify_release(workspace, version)
        except ReleaseError as error:
            faults.append(str(error))
    if faults:
        raise ReleaseError("; ".join(faults))
    if not counts:
        raise ReleaseError(f"there is no release in {workspace.path} yet; make one with: catbuilder release 1.0")
    return counts


def _versions(workspace: Workspace) -> list[str]:
    return sorted(one.name for one in (workspace.path / "releases").glob("[!.]*") if one.is_dir())


def _damaged(version: str, what: str) -> str:
    return f"release {version} is not as it was published: {what}; put it back from a copy"


def _complete(workspace: Workspace) -> ReleaseSettings:
    settings = workspace.config.release
    missing = [name for name in ("title", "creators", "licence") if not getattr(settings, name)]
    if missing:
        raise ConfigError(
            f"{workspace.path / 'catbuilder.toml'} does not say {' and '.join(missing)} of [release], which a "
            'citation needs; add for instance: [release] title = "...", licence = "CC-BY-4.0", creators = [{family = '
            '"...", given = "...", orcid = "0000-0000-0000-0000"}]'
        )
    return settings


def _refuse_doi_again(workspace: Workspace, doi: str, earlier: Sequence[dict[str, Any]]) -> None:
    """A DOI is of one catalogue for good; upper and lower case are the same in it."""
    for one in earlier:
        if doi and (one["doi"] or "").casefold() == doi.casefold():
            raise ReleaseError(
                f"the DOI {doi} is that of release {one['version']} already; reserve another for the new one and "
                f"write it into {workspace.path / 'catbuilder.toml'} as doi of [release], or take that line out"
            )


def _place(workspace: Workspace, version: str, formats: Sequence[str]) -> Path:
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"'{version}' is no version; name it by letters, digits, '.', '_' and '-', such as 1.0")
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        what = f"there is no format {' and no '.join(unknown)}" if unknown else "no format is given"
        raise ReleaseError(f"{what}; use some of {', '.join(FORMATS)}")
    place = workspace.path / "releases" / version
    if place.exists():
        raise ReleaseError(f"{place} exists, and what was released is never changed; give the new one another version")
    return place


def _closed(con: Connection) -> int:
    row = first_row(con, "SELECT max(round) FROM round_status WHERE step = 'closed'")
    if row is None or row[0] is None:
        raise RoundError("no round is closed yet, and only what never changes again is released; run: catbuilder round")
    return int(row[0])


def _fill(
    workspace: Workspace, settings: ReleaseSettings, draft: Path, version: str, at: int, where: str | None,
    formats: Sequence[str], previous: dict[str, Any] | None, reporter: Reporter,
) -> tuple[int, int, tuple[str, ...], str | None]:  # fmt: skip
    """Write every file but the checksums."""
    written = _catalogues(workspace, draft, at, where, formats, reporter)
    changed: RoundDiff | None = None
    if previous is not None and previous["round"] != at:
        first, last = sorted((int(previous["round"]), at))
        changed = diff(workspace, first, last, reporter=reporter)
    with workspace.reading() as con:
        facts = collect_provenance(con, workspace, at, where)
        dictionary = data_dictionary(con, "catalog")
        trained = con.execute(query("exports/training_sources"), {"at": at}).fetchall()
        sources = {source for _, source in trained}
        released = ReleaseContents(
            version, datetime.now(UTC).date(), at, where, written.rows, export_columns(con, at),
            _with_releases(workspace, written.surveys), _with_releases(workspace, {survey for survey, _ in trained}),
            sources, "galaxy_zoo" in sources | written.label_sources, facts,
        )  # fmt: skip
        recipe = read_plan(con, at).recipe.model_dump()
        metrics = fetch_arrow(con, query("decisions/metrics_all"), {"rounds": list(range(1, at + 1))})
    with atomic_write(draft / "metrics.csv") as temporary:
        pa.csv.write_csv(metrics, temporary)
    _write_papers(workspace, settings, draft, released, dictionary, previous, changed, written.line_bytes)
    write_text(draft / _ABOUT, _about(released, recipe, settings))
    files = tuple(sorted(file.name for file in draft.iterdir()))
    return at, written.rows, files, None if previous is None else str(previous["version"])


def _catalogues(
    workspace: Workspace, draft: Path, at: int, where: str | None, formats: Sequence[str], reporter: Reporter
) -> _Written:
    """Write the catalogue in each format."""
    line_bytes = None
    for name in formats:
        if name == "cds":
            target = draft / "catalog.dat"
            with open_selection(workspace, target, at, where, reporter) as selection, atomic_write(target) as temporary:
                line_bytes = write_cds(selection, temporary)
            rows, surveys, sources = selection.rows, frozenset(selection.surveys), frozenset(selection.label_sources)
        else:
            report = export(workspace, draft / _FILES[name], at=at, where=where, reporter=reporter)
            rows, surveys, sources = report.rows, report.surveys, report.label_sources
    return _Written(rows, surveys, sources, line_bytes)


def _write_papers(
    workspace: Workspace, settings: ReleaseSettings, draft: Path, released: ReleaseContents,
    dictionary: Sequence[Column], previous: dict[str, Any] | None, changed: RoundDiff | None, line_bytes: int | None,
) -> None:  # fmt: skip
    certified = read_certificates(workspace, at=released.round).to_pylist()
    files = [file.name for file in draft.iterdir() if file.name.startswith("catalog")]
    before = None if previous is None else previous["version"]
    notes = [] if previous is None else _notes(previous, released)
    papers = {
        "CITATION.cff": citation_cff(settings, released),
        "datacite.json": datacite_json(settings, released, (previous or {}).get("doi"), files),
        "ReadMe": cds_readme(settings, released, line_bytes),
        "ACKNOWLEDGEMENTS.md": acknowledgements(released),
        "CHANGES.md": changes_md(released.version, before, changed, notes),
        "selection.sql": selection_sql(released),
        "data-dictionary.csv": dictionary_csv(dictionary),
        "data-dictionary.md": dictionary_md(dictionary),
        "certificates.json": json.dumps(certified, indent=1, default=str) + "\n",
        "certificates.md": certificates_md([in_words(row) for row in certified]),
    }
    for name, text in papers.items():
        write_text(draft / name, text)


def _notes(previous: dict[str, Any], released: ReleaseContents) -> list[str]:
    notes = [f"{released.rows:,} objects, of round {released.round}; there were {previous['objects']:,}, of round "
             f"{previous['round']}."]  # fmt: skip
    if previous["where"] != released.where:
        kept = [where or "every object" for where in (released.where, previous["where"])]
        notes.append(f"Rows kept: {kept[0]}; there were: {kept[1]}.")
    if previous["round"] > released.round:
        notes.append(
            f"This release goes back: what follows is told forwards, from round {released.round} of this release to "
            f"round {previous['round']} of version {previous['version']}."
        )
    if released.where or previous["where"]:
        which = "this release" if released.where else f"version {previous['version']}"
        notes.append(f"What follows is of the whole catalogue, not only the rows of {which}.")
    return notes


def _about(released: ReleaseContents, recipe: dict[str, Any], settings: ReleaseSettings) -> str:
    said = {
        "version": released.version, "round": released.round, "objects": released.rows, "where": released.where,
        "created": datetime.now(UTC).isoformat(timespec="seconds"), "doi": settings.doi or None,
        "surveys": dict(released.surveys), "facts": [asdict(fact) for fact in released.facts], "recipe": recipe,
    }  # fmt: skip
    return json.dumps(said, indent=1, default=str) + "\n"


def _with_releases(workspace: Workspace, surveys: Iterable[str]) -> dict[str, str]:
    known = workspace.config.surveys
    return {name: known[name].release if name in known else "" for name in sorted(surveys)}


def _seal(draft: Path) -> None:
    """Checksums of all files, which nobody shall write to any more."""
    files = sorted(file for file in draft.iterdir() if file.is_file())
    write_text(draft / _SUMS, "".join(f"{sha256_file(file)}  {file.name}\n" for file in files))
    for file in draft.iterdir():
        file.chmod(0o444)
    sync_folder(draft)
