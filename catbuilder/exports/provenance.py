"""Collect the provenance of an export: software, date, round, model and certificates.

The name of an entry is a FITS keyword of at most eight characters; VOTable has the entries as INFO elements.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query
from catbuilder.core.version import __version__

_MOST_CERTIFICATES = 99  # a keyword of FITS has eight characters


@dataclass(frozen=True)
class ProvenanceEntry:
    """One statement about the whole table."""

    name: str
    value: str | int | float | bool | None
    comment: str = ""


def collect_provenance(
    con: Connection, workspace: Workspace, at_round: int, where: str | None
) -> list[ProvenanceEntry]:
    """Collect the provenance of the rows that meet `where` at the end of a round.

    The certificates are those of all promotions that stood then. Some may cover no row of the export, because of
    `where` or because a person's label replaced a promotion.
    """
    facts = [
        ProvenanceEntry("ORIGIN", "catbuilder", "software that wrote this file"),
        ProvenanceEntry("CATBVERS", __version__, "version of catbuilder"),
        ProvenanceEntry("DATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "when this file was written (UTC)"),
        ProvenanceEntry("RADESYS", "ICRS", "frame of ra and dec"),
        ProvenanceEntry("CLASSES", ",".join(workspace.config.classes), "classes of the labels"),
    ]
    for i, (name, survey) in enumerate(workspace.config.surveys.items(), start=1):
        facts.append(
            ProvenanceEntry(f"SURVEY{i}", f"{name} {survey.release} {survey.id_column}", "survey, release, id column")
        )
    if where:
        facts.append(ProvenanceEntry("WHERE", where, "rows kept"))
    row = first_row(con, query("exports/exported_model"), {"at": at_round})
    if row is None:
        return [*facts, ProvenanceEntry("ROUND", 0, "no round has been run")]
    names = ("ROUND", "RECIPE", "RECIPSHA", "SEED", "RANKS", "MODELSHA", "MEMBERS", "CONFCAL")
    comments = ("round of the model that speaks", "its recipe", "", "its seed", "processes that trained it", "",
                "networks whose posteriors are averaged", "calibration of calibrated_confidence")  # fmt: skip
    facts += [ProvenanceEntry(*fact) for fact in zip(names, row, comments, strict=True)]
    return facts + _certificate_facts(con, at_round)


def _certificate_facts(con: Connection, at_round: int) -> list[ProvenanceEntry]:
    """Return several entries per certificate; the column `certificate` of a row refers to them."""
    said = {
        "CL": ("class", "class it is about"), "TR": ("truth", ""), "PO": ("population", ""),
        "N": ("n", "calibration objects counted"), "ER": ("errors", "errors among them"),
        "TH": ("threshold", "least calibrated confidence"), "AL": ("alpha", "error rate promised of the population"),
        "DE": ("delta_spent", "chance that any such bound fails"), "PB": ("population_bound", "its upper bound"),
        "BA": ("batch", "objects covered"), "BB": ("batch_bound", "upper bound of their error rate"),
        "WT": ("weighted", "on condition of estimated weights"), "SH": ("calibration_sha256", ""),
        "AU": ("audit", "result of the audit by people"),
    }  # fmt: skip
    facts: list[ProvenanceEntry] = []
    rows = fetch_arrow(con, query("exports/exported_certificates"), {"at": at_round}).to_pylist()
    for number, row in enumerate(rows, start=1):
        if number > _MOST_CERTIFICATES:
            return [*facts, ProvenanceEntry("CERTMORE", True, "there are more: see the table certificates")]
        facts.append(ProvenanceEntry(f"CERT{number}", row["certificate"], "certificate"))
        facts += [
            ProvenanceEntry(f"CERT{number}{key}", row[column], comment) for key, (column, comment) in said.items()
        ]
    return facts
