"""Publish the catalogue of a closed round as a release: data, documentation, citation and checksums.

A release is a folder `releases/VERSION` that never changes. It is made under a temporary name and renamed when it is
complete. Its files are read-only, and SHA256SUMS lists them for `sha256sum --check`.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
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
    sha256_file,
    sync_folder,
    write_text,
)
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.settings import ReleaseSettings
from catbuilder.decisions.certificates import certificate_sentence, read_certificates
from catbuilder.exports.cds import write_cds
from catbuilder.exports.export import export
from catbuilder.exports.provenance import collect_provenance
from catbuilder.exports.release_check import PROVENANCE, SUMS, VERSION, list_releases
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
DEFAULT_FORMATS = ("fits", "parquet")  # and cds, up to CDS_ROWS
# A line of catalog.dat has some 272 bytes whatever it holds: 0.3 GB for a million objects, 80 GB for 300 million.
CDS_ROWS = 1_000_000

_FILES = {"fits": "catalog.fits", "parquet": "catalog.parquet", "votable": "catalog.vot", "csv": "catalog.csv"}


@dataclass(frozen=True)
class ReleaseReport:
    """A release that was made.

    Attributes
    ----------
    folder : Path
        Folder of the release.
    round : int
        Number of the round.
    rows : int
        Number of objects.
    files : tuple[str, ...]
        Names of its files.
    previous : str or None
        Version of the release before.
    without_cds : bool
        True if catalog.dat was left out because of the number of rows.
    """

    folder: Path
    round: int
    rows: int
    files: tuple[str, ...]
    previous: str | None
    without_cds: bool = False

    def sentences(self) -> list[str]:
        """Return the result as sentences."""
        said = [
            f"Released {counted(self.rows, 'object')} of round {self.round} in {self.folder}: {', '.join(self.files)}."
        ]
        if self.without_cds:
            said.append(
                f"The fixed-width file catalog.dat was left out, since there are more than {CDS_ROWS:,} objects; write "
                "it with: --formats fits,parquet,cds"
            )
        return [*said, f"Check it at any time with: catbuilder release {self.folder.name} --verify"]


@dataclass(frozen=True)
class _Written:
    """Facts about the rows of the catalogue files."""

    rows: int
    surveys: frozenset[str]
    label_sources: frozenset[str | None]
    line_bytes: int | None  # length of a line of catalog.dat, if there is one


def release(
    workspace: Workspace,
    version: str,
    *,
    at: int | None = None,
    where: str | None = None,
    formats: Sequence[str] | None = None,
    reporter: Reporter | None = None,
) -> ReleaseReport:
    """Publish the catalogue as of a closed round in `releases/VERSION`.

    The section `[release]` of `catbuilder.toml` gives title, creators and licence.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    version : str
        Letters, digits, '.', '_' and '-'. A version can be released once.
    at : int, optional
        Number of the closed round; by default the last closed one.
    where : str, optional
        SQL condition on the columns of the view `catalog`; by default all objects.
    formats : sequence of str, optional
        Some of fits, parquet, cds, votable and csv; by default fits and parquet, and cds up to a million objects.
    reporter : Reporter, optional
        Shows progress and messages; by default nothing is printed.

    Returns
    -------
    ReleaseReport
        Folder and files of the release, its round and number of rows.

    Raises
    ------
    ReleaseError
        There is a release of that version or DOI already, or the version or a format is not valid.
    ConfigError
        `catbuilder.toml` lacks the title, the creators or the licence.
    RoundError
        There is no such round, it is not closed, or no round is closed.
    QueryError
        The condition is not valid.
    WorkspaceBusy
        Another release is under way.

    Examples
    --------
    >>> catbuilder.release(workspace, "1.0", at=3, formats=["fits"]).files
    """
    reporter = reporter or Reporter(quiet=True)
    settings = _complete(workspace)
    place = _place(workspace, version, DEFAULT_FORMATS if formats is None else formats)
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
    return replace(report, folder=place)


def _complete(workspace: Workspace) -> ReleaseSettings:
    settings = workspace.config.release
    missing = [name for name in ("title", "creators", "licence") if not getattr(settings, name)]
    if missing:
        raise ConfigError(
            f"{workspace.path / 'catbuilder.toml'} lacks {' and '.join(missing)} of [release], which a citation "
            'needs; add for example: [release] title = "...", licence = "CC-BY-4.0", creators = [{family = '
            '"...", given = "...", orcid = "0000-0000-0000-0000"}]'
        )
    return settings


def _refuse_doi_again(workspace: Workspace, doi: str, earlier: Sequence[dict[str, Any]]) -> None:
    """Refuse a DOI that another release has; DOIs ignore case."""
    for one in earlier:
        if doi and (one["doi"] or "").casefold() == doi.casefold():
            raise ReleaseError(
                f"the DOI {doi} is that of release {one['version']} already; reserve another DOI and write it into "
                f"{workspace.path / 'catbuilder.toml'} as doi of [release], or remove that line"
            )


def _place(workspace: Workspace, version: str, formats: Sequence[str]) -> Path:
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"'{version}' is not a version; use letters, digits, '.', '_' and '-', such as 1.0")
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        what = f"there is no format {' and no '.join(unknown)}" if unknown else "no format is given"
        raise ReleaseError(f"{what}; use some of {', '.join(FORMATS)}")
    place = workspace.path / "releases" / version
    if place.exists():
        raise ReleaseError(f"{place} exists, and a release never changes; choose another version")
    return place


def _closed(con: Connection) -> int:
    row = first_row(con, "SELECT max(round) FROM round_status WHERE step = 'closed'")
    if row is None or row[0] is None:
        raise RoundError("no round is closed yet, and only a closed round can be released; run: catbuilder round")
    return int(row[0])


def _fill(
    workspace: Workspace, settings: ReleaseSettings, draft: Path, version: str, at: int, where: str | None,
    formats: Sequence[str] | None, previous: dict[str, Any] | None, reporter: Reporter,
) -> ReleaseReport:  # fmt: skip
    """Write every file except the checksums."""
    written = _catalogues(workspace, draft, at, where, formats or DEFAULT_FORMATS, reporter)
    if formats is None and written.rows <= CDS_ROWS:
        written = _catalogues(workspace, draft, at, where, ["cds"], reporter)
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
    _write_documents(workspace, settings, draft, released, dictionary, previous, changed, written.line_bytes)
    write_text(draft / PROVENANCE, _provenance_json(released, recipe, settings))
    files = tuple(sorted(file.name for file in draft.iterdir()))
    before = None if previous is None else str(previous["version"])
    return ReleaseReport(draft, at, written.rows, files, before, formats is None and written.line_bytes is None)


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


def _write_documents(
    workspace: Workspace, settings: ReleaseSettings, draft: Path, released: ReleaseContents,
    dictionary: Sequence[Column], previous: dict[str, Any] | None, changed: RoundDiff | None, line_bytes: int | None,
) -> None:  # fmt: skip
    certified = read_certificates(workspace, at=released.round).to_pylist()
    files = [file.name for file in draft.iterdir() if file.name.startswith("catalog")]
    before = None if previous is None else previous["version"]
    notes = [] if previous is None else _notes(previous, released)
    documents = {
        "CITATION.cff": citation_cff(settings, released),
        "datacite.json": datacite_json(settings, released, (previous or {}).get("doi"), files),
        "ReadMe": cds_readme(settings, released, line_bytes),
        "ACKNOWLEDGEMENTS.md": acknowledgements(released),
        "CHANGES.md": changes_md(released.version, before, changed, notes),
        "selection.sql": selection_sql(released),
        "data-dictionary.csv": dictionary_csv(dictionary),
        "data-dictionary.md": dictionary_md(dictionary),
        "certificates.json": json.dumps(certified, indent=1, default=str) + "\n",
        "certificates.md": certificates_md([certificate_sentence(row) for row in certified]),
    }
    for name, text in documents.items():
        write_text(draft / name, text)


def _notes(previous: dict[str, Any], released: ReleaseContents) -> list[str]:
    notes = [f"{released.rows:,} objects, of round {released.round}; before: {previous['objects']:,}, of round "
             f"{previous['round']}."]  # fmt: skip
    if previous["where"] != released.where:
        kept = [where or "every object" for where in (released.where, previous["where"])]
        notes.append(f"Rows kept: {kept[0]}; before: {kept[1]}.")
    if previous["round"] > released.round:
        notes.append(
            f"This release is of an earlier round: the changes below go from round {released.round} of this release to "
            f"round {previous['round']} of version {previous['version']}."
        )
    if released.where or previous["where"]:
        which = "this release" if released.where else f"version {previous['version']}"
        notes.append(f"The changes below are of the whole catalogue, not only the rows of {which}.")
    return notes


def _provenance_json(released: ReleaseContents, recipe: dict[str, Any], settings: ReleaseSettings) -> str:
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
    """Write the checksums, and make all files read-only."""
    files = sorted(file for file in draft.iterdir() if file.is_file())
    write_text(draft / SUMS, "".join(f"{sha256_file(file)}  {file.name}\n" for file in files))
    for file in draft.iterdir():
        file.chmod(0o444)
    sync_folder(draft)
