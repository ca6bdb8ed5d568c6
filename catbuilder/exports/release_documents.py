"""Write the documents of a release: citation, DOI metadata, ReadMe, acknowledgements, data dictionary, changes.

Each function returns the text of one file; `release` writes the files.
"""

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from catbuilder.catalogue.schema import Column
from catbuilder.core.settings import Creator, ReleaseSettings
from catbuilder.core.version import __version__
from catbuilder.exports.cds import describe_bytes, paragraph, plain_text
from catbuilder.exports.provenance import ProvenanceEntry
from catbuilder.exports.rows import ExportColumn
from catbuilder.inspection.round_diff import RoundDiff

_METHOD = "arXiv:1812.02183"
# Pages with the official acknowledgement of each survey; the texts can change, so they are not copied here.
_THANKS = {
    "sdss": ("Sloan Digital Sky Survey", "https://www.sdss.org/collaboration/citing-sdss/"),
    "des": ("Dark Energy Survey", "https://www.darkenergysurvey.org/the-des-project/data-access/"),
    "decals": ("DESI Legacy Imaging Surveys (DECaLS)", "https://www.legacysurvey.org/acknowledgment/"),
}
_GALAXY_ZOO = (
    "Galaxy Zoo: the volunteers, as https://data.galaxyzoo.org asks, and Lintott et al. 2008 (MNRAS 389, 1179) and "
    "2011 (MNRAS 410, 166)"
)
_WHOSE = {"galaxy_zoo": "volunteers'", "human": "people's", "imported": "other catalogues'"}
_RULE = "=" * 80


@dataclass(frozen=True)
class ReleaseContents:
    """The rows, round and sources of a release."""

    version: str
    on: date
    round: int
    where: str | None
    rows: int
    columns: Sequence[ExportColumn]
    surveys: Mapping[str, str]  # name -> release, of the surveys of the rows
    trained: Mapping[str, str]  # name -> release, of the surveys of the training objects
    sources: Collection[str]  # sources of the labels in the training sets
    galaxy_zoo: bool  # whether labels of its volunteers are in the rows or the training sets
    facts: Sequence[ProvenanceEntry]


def citation_cff(settings: ReleaseSettings, released: ReleaseContents) -> str:
    """Write CITATION.cff (Citation File Format 1.2.0), which GitHub and Zenodo read."""
    lines = [
        "cff-version: 1.2.0",
        "message: If you use this catalogue, please cite it.",
        "type: dataset",
        f"title: {json.dumps(settings.title)}",
        f"version: {json.dumps(released.version)}",
        f"date-released: {released.on.isoformat()}",
    ]
    lines += [f"license: {settings.licence}"] if settings.licence else []
    lines += [f"doi: {settings.doi}"] if settings.doi else []
    lines += [f"abstract: {json.dumps(_abstract(settings, released))}", "authors:"]
    for creator in settings.creators:
        named = {
            "family-names" if creator.given else "name": creator.family,
            "given-names": creator.given,
            "affiliation": creator.given and creator.affiliation,  # which an entity of CFF does not have
            "orcid": creator.orcid and f"https://orcid.org/{creator.orcid}",
        }  # fmt: skip
        entries = [f"{key}: {json.dumps(value)}" for key, value in named.items() if value]
        lines += [f"  - {entries[0]}", *(f"    {entry}" for entry in entries[1:])]
    return "\n".join(lines) + "\n"


def datacite_json(
    settings: ReleaseSettings, released: ReleaseContents, previous_doi: str | None, files: Sequence[str]
) -> str:
    """Write the metadata for a DOI: JSON of the DataCite Metadata Schema 4.5, for DataCite's REST API."""
    record: dict[str, Any] = {
        "doi": settings.doi or None,
        "creators": [_datacite_creator(creator) for creator in settings.creators],
        "titles": [{"title": settings.title}],
        "publisher": {"name": settings.publisher},
        "publicationYear": str(released.on.year),
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Catalogue"},
        "subjects": [{"subject": word} for word in ("galaxies", "morphology", "sky survey", *released.surveys)],
        "dates": [{"date": released.on.isoformat(), "dateType": "Created"}],
        "language": "en",
        "version": released.version,
        "rightsList": [_datacite_rights(settings.licence)],
        "descriptions": [{"description": _abstract(settings, released), "descriptionType": "Abstract"}],
        "sizes": [f"{released.rows} objects"],
        "formats": sorted({name.rpartition(".")[2] for name in files}),
        "relatedIdentifiers": [
            {"relatedIdentifier": _METHOD, "relatedIdentifierType": "arXiv", "relationType": "References"}
        ],
        "schemaVersion": "http://datacite.org/schema/kernel-4",
    }
    if previous_doi:
        record["relatedIdentifiers"].append(
            {"relatedIdentifier": previous_doi, "relatedIdentifierType": "DOI", "relationType": "IsNewVersionOf"}
        )
    return json.dumps({key: value for key, value in record.items() if value is not None}, indent=1) + "\n"


def cds_readme(settings: ReleaseSettings, released: ReleaseContents, line_bytes: int | None) -> str:
    """Write the ReadMe of the CDS; `line_bytes` is the length of a line of catalog.dat, None without this file."""
    names = [f"{one.family} {one.given[:1]}.".replace(" .", "") for one in settings.creators]
    short = f"({plain_text(settings.creators[0].family)}{'+' if len(names) > 1 else ''}, {released.on.year})"
    title = paragraph(settings.title, 0)
    head = [*title[:-1], f"{title[-1]:<{max(1, 79 - len(short))}} {short}"] if len(title[-1]) + len(short) < 80 else [
        *title, short.rjust(80)]  # fmt: skip
    lines = [*head, _RULE, *title, *paragraph(", ".join(names), 4), _RULE]
    lines += [
        "ADC_Keywords: Surveys ; Galaxies ; Morphology",
        "",
        "Abstract:",
        *paragraph(_abstract(settings, released)),
    ]
    lines += ["", "Description:", *paragraph(_selected(released)), "", "File Summary:"]
    rule = "-" * 80
    files = [("ReadMe", 80, ".", "This file")]
    if line_bytes is not None:
        files.append(("catalog.dat", line_bytes, str(released.rows), "The catalogue"))
    lines += [rule, " FileName      Lrecl  Records   Explanations", rule]
    lines += [f"{name:<14s}{length:5d} {records:>10s}   {what}" for name, length, records, what in files]
    lines += [rule, ""]
    if line_bytes is not None:
        lines += ["Byte-by-byte Description of file: catalog.dat", *describe_bytes(released.columns), ""]
    lines += ["Acknowledgements:", *paragraph("See the file ACKNOWLEDGEMENTS.md of the release."), "", "History:"]
    lines += paragraph(f"{released.on.isoformat()}: version {released.version}, by catbuilder {__version__}")
    return "\n".join([*lines, _RULE, f"(End){released.on.isoformat():>75s}"]) + "\n"


def acknowledgements(released: ReleaseContents) -> str:
    """List the surveys that a paper must acknowledge, and the pages with the official texts."""
    lines = [
        "# Acknowledgements",
        "",
        "A paper that uses this catalogue uses the data of these surveys. Each survey asks",
    ]
    lines += ["for its own acknowledgement; the current texts are at:", ""]
    lines += _thanked(released.surveys)
    others = {name: release for name, release in released.trained.items() if name not in released.surveys}
    if others:
        lines += ["", "None of its objects are of these surveys, but its networks were trained on their objects:", ""]
        lines += _thanked(others)
    if released.galaxy_zoo:
        lines.append(f"- {_GALAXY_ZOO}")
    lines += ["", f"The method grew from Khan et al. 2019 ({_METHOD}); the software is catbuilder {__version__}.", ""]
    return "\n".join(lines)


def dictionary_csv(columns: Sequence[Column]) -> str:
    """Write the data dictionary as CSV: column, unit, ucd, description."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["column", "unit", "ucd", "description"])
    writer.writerows([column.name, column.unit, column.ucd, column.description] for column in columns)
    return out.getvalue()


def dictionary_md(columns: Sequence[Column]) -> str:
    """Write the data dictionary as Markdown."""
    lines = ["# Data dictionary", "", "| column | unit | UCD | meaning |", "|---|---|---|---|"]
    lines += [f"| `{one.name}` | {one.unit} | `{one.ucd}` | {one.description.replace('|', '/')} |" for one in columns]
    return "\n".join([*lines, ""])


def selection_sql(released: ReleaseContents) -> str:
    """Write the query that selects the rows of the release from the workspace's catalogue."""
    condition = f"\nWHERE ({released.where}\n)" if released.where else ""
    # a command would take a comment that begins with -- for an option
    return (
        f"/* Version {released.version}: {released.rows} objects, as the catalogue stood at the end of round "
        f'{released.round}.\n   Run it in the workspace with: catbuilder sql "$(cat selection.sql)" */\n'
        f"SELECT * FROM catalog_at({released.round}){condition}\nORDER BY survey, object_id\n"
    )


def certificates_md(sentences: Sequence[str]) -> str:
    """Write the certificates of the promoted labels in words."""
    none = "No label of this release was promoted under a certificate, so no error rate is guaranteed."
    lines = [f"- {sentence}" for sentence in sentences] or [none]
    return "\n".join(["# Certificates", "", *lines, ""])


def changes_md(version: str, previous: str | None, diff: RoundDiff | None, notes: Sequence[str]) -> str:
    """Write the changes since the previous release."""
    lines = [f"# Changes of version {version}", ""]
    if previous is None:
        return "\n".join([*lines, "This is the first release.", ""])
    lines += [f"Changes since version {previous}.", "", *(f"- {note}" for note in notes)]
    if diff is None:
        return "\n".join([*lines, "- The round is the same: no label or prediction has changed.", ""])
    lines += [f"- {sentence}" for sentence in diff.sentences()]
    for title, table in (
        ("Labels", diff.labels), ("Predicted classes", diff.predictions), ("Events", diff.events),
        ("Examples", diff.examples),
    ):  # fmt: skip
        lines += ["", f"## {title}", "", *_markdown(table.column_names, table.to_pylist())]
    return "\n".join([*lines, ""])


def _thanked(surveys: Mapping[str, str]) -> list[str]:
    lines = []
    for name, release in surveys.items():
        title, place = _THANKS.get(name, (name, "its own pages"))
        lines.append(f"- {title}{f', {release}' if release else ''}: {place}")
    return lines


def _markdown(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["None."]
    head = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return head + [f"| {' | '.join(_cell(row[name]) for name in names)} |" for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return (f"{value:.4g}" if isinstance(value, float) else str(value)).replace("|", "/").replace("\n", " ")


def _abstract(settings: ReleaseSettings, released: ReleaseContents) -> str:
    surveys = f" of {' and '.join(released.surveys)}" if released.surveys else ""
    whose = " and ".join(words for source, words in _WHOSE.items() if source in released.sources)
    return settings.description or (
        f"Morphological classes of {released.rows} objects{surveys}, by networks trained on "
        f"{f'{whose} ' if whose else ''}labels over {released.round} rounds."
    )


def _selected(released: ReleaseContents) -> str:
    condition = f", of which those were kept with {' '.join(released.where.split())}" if released.where else ""
    return (
        f"The catalogue as it stood at the end of round {released.round}{condition}: {released.rows} objects, one "
        "a line, in the order of survey and object_id. A label is asserted by a person or a catalogue or was promoted, "
        "as source says; predicted_label is that of the latest network, for any object with an image. Positions: ICRS."
    )


def _datacite_creator(creator: Creator) -> dict[str, Any]:
    named: dict[str, Any] = {
        "name": f"{creator.family}, {creator.given}" if creator.given else creator.family,
        "nameType": "Personal" if creator.given else "Organizational",
    }
    if creator.given:
        named |= {"givenName": creator.given, "familyName": creator.family}
    if creator.orcid:
        named["nameIdentifiers"] = [
            {"nameIdentifier": f"https://orcid.org/{creator.orcid}", "nameIdentifierScheme": "ORCID",
             "schemeUri": "https://orcid.org"}
        ]  # fmt: skip
    if creator.affiliation:
        named["affiliation"] = [{"name": creator.affiliation}]
    return named


def _datacite_rights(licence: str) -> dict[str, str]:
    return {
        "rights": licence, "rightsIdentifier": licence, "rightsIdentifierScheme": "SPDX",
        "schemeUri": "https://spdx.org/licenses/", "rightsUri": f"https://spdx.org/licenses/{licence}.html",
    }  # fmt: skip
