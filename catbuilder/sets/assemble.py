"""Assemble: which galaxies train, validate, test, calibrate, and which wait in the pool, by the paper's rules.

Everything follows from three things: the volunteers' votes, which galaxies both surveys saw, and a hash of the
id. HP are the galaxies of the overlap with sure votes (or those of a list), FO all of the overlap but for a
fixed fifth of what is not in HP, and that fifth calibrates. Test sets are written once; a second call adds what
has come since to training, calibration and pool, and leaves HP and FO as they are.

Reference: Khan et al. 2019 (arXiv:1812.02183), section II and table 1.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row
from catbuilder.catalogue.label_events import fresh_labels, record_events
from catbuilder.catalogue.workspace import Recording, Workspace, record_rejections, replace_older
from catbuilder.core.csv_table import BadValue, CsvRow, CsvRows, list_columns, parse_object_id, read_table
from catbuilder.core.errors import ConfigError, InputError
from catbuilder.core.recipe import Recipe, Sets
from catbuilder.core.resources import query
from catbuilder.sets.aliases import AliasReport, find_aliases
from catbuilder.sets.firewall import update_firewall
from catbuilder.sets.manifest import in_validation
from catbuilder.sets.population import apply_population, domain_counts, load_population

PAPER = {
    ("train", "sdss", "spiral"): 18_352, ("train", "sdss", "elliptical"): 18_268,
    ("HP", "sdss", "spiral"): 516, ("HP", "sdss", "elliptical"): 550,
    ("HP", "des", "spiral"): 516, ("HP", "des", "elliptical"): 550,
    ("FO", "sdss", "spiral"): 6_677, ("FO", "sdss", "elliptical"): 5_904,
    ("FO", "des", "spiral"): 6_677, ("FO", "des", "elliptical"): 5_904,
}  # fmt: skip
"""Galaxies in the sets of Khan et al. 2019, table 1. Its validation set has 963 of both classes together."""

_CLASSES = {"elliptical", "spiral"}


@dataclass
class AssembleReport:
    """What `assemble` did."""

    counts: pa.Table  # part, survey, class, galaxies, with_stamp
    overlap: int = 0  # galaxies that both surveys saw and that have votes
    ties: int = 0  # of these, galaxies whose two debiased votes are equal
    tied_in_calibration: int = 0
    hp_in_overlap: int = 0
    hp_in_fo: int = 0
    hp_unmatched: int = 0  # pairs of the HP list that the cross-match does not have
    without_votes: int = 0  # members of the listed sets on which nobody voted
    frozen: tuple[str, ...] = ()  # test sets that were there already
    late: int = 0  # galaxies that would be in FO, had it not been written before they came
    already_trained: int = 0  # test objects that an earlier round trained on
    already_calibrated: int = 0  # calibration objects that an earlier round trained on
    events: int = 0  # labels recorded
    withdrawn: int = 0  # labels of an earlier call that the votes no longer give
    images: AliasReport | None = None
    domains: dict[tuple[str, str], int] = field(default_factory=dict)  # objects by (domain, reason)
    firewall: dict[str, int] = field(default_factory=dict)  # objects kept out of training, by rule

    def sentences(self) -> list[str]:
        """What a person should know beside the table of counts."""
        said = [
            f"Overlap: {self.overlap:,} galaxies with votes that both surveys saw; {self.ties} of them tie between the "
            f"two classes: dropped from FO, counted as errors in calibration, which has {self.tied_in_calibration}.",
            f"HP and the overlap: {self.hp_in_overlap:,} galaxies of HP are also in the overlap, {self.hp_in_fo:,} of "
            "them in FO; the two test sets are not disjoint.",
            "Validation of the paper: 963 galaxies of both classes.",
        ]
        if self.frozen:
            said.append(f"{' and '.join(self.frozen)}: written before and frozen; left as they are.")
        if self.late:
            said.append(f"{self.late:,} galaxies of the overlap came after FO was written; they are in no set.")
        if self.hp_unmatched:
            said.append(f"Careful: {self.hp_unmatched} pairs of the HP list are not pairs of the cross-match.")
        if self.without_votes:
            said.append(f"Careful: {self.without_votes} listed test galaxies have no votes, and so no truth.")
        if self.already_trained:
            said.append(
                f"Careful: {self.already_trained} test objects were trained on by earlier rounds; their metrics mean "
                "nothing."
            )
        if self.images and self.images.identified:
            said.append(f"{self.images.identified} images given by position show a catalogued galaxy and took its id.")
        if self.firewall:
            kept_out = ", ".join(f"{n} by {rule}" for rule, n in sorted(self.firewall.items()))
            said.append(f"Firewall: kept out of training as possible test or calibration galaxies: {kept_out}.")
        if self.withdrawn:
            said.append(f"{self.withdrawn} labels of an earlier call are taken back: the votes no longer give them.")
        if self.already_calibrated:
            said.append(
                f"Careful: {self.already_calibrated} calibration galaxies were trained on by earlier rounds, whose "
                "models they cannot judge."
            )
        if not self.domains:
            said.append("No catalogue of the target's measurements is in: domains are judged by the images alone.")
        elif not any(domain == "in" for domain, _ in self.domains):
            said.append("Careful: no catalogued object is in the target population, so none can be promoted.")
        for (domain, reason), n in self.domains.items():
            said.append(f"Domain {domain}: {n:,} objects{f' ({reason})' if reason else ''}.")
        return said


def assemble(workspace: Workspace, recipe: Recipe, *, hp: Path | None = None, fo: Path | None = None) -> AssembleReport:
    """Build the sets of `recipe.sets` from the catalogues and their cross-match.

    Parameters
    ----------
    hp, fo : CSV files that list the pairs of a test set, with one column for each survey whose name begins with
        the survey's (`sdss_objid`, `des_coadd_object_id`); by default the rule decides

    Raises
    ------
    InputError
        There are no votes or no cross-match to build from, or a list cannot be used.
    ConfigError
        The recipe's sets do not fit the workspace.
    """
    sets = recipe.sets
    _check_settings(workspace, sets)
    population = load_population(sets.population)
    lists = {name: _read_list(workspace, file, sets) for name, file in (("HP", hp), ("FO", fo)) if file is not None}
    images = find_aliases(workspace)
    with workspace.reading() as con:
        _check_catalogue(con, sets)
    with workspace.recording("assemble") as recording:
        report = AssembleReport(pa.table({}), images=images)
        _find_votes(recording.con, sets)
        _record_test_sets(recording, sets, lists, report)
        _record_training(recording, recipe, report)
        if _has_measurements(recording.con, sets.target):
            apply_population(recording, sets.target, population)
            report.domains = domain_counts(recording.con, sets.target)
        for table in lists.values():
            record_rejections(recording, table.rejections)
    report.firewall = update_firewall(workspace, recipe.firewall.radius_arcsec).excluded
    with workspace.reading() as con:
        report.counts = fetch_arrow(con, query("sets/assemble_counts"))
    return report


def _check_settings(workspace: Workspace, sets: Sets) -> None:
    if not set(workspace.config.classes) >= _CLASSES:
        raise ConfigError(
            f"Galaxy Zoo 1 tells elliptical from spiral, and this workspace has {', '.join(workspace.config.classes)}; "
            "make one with: catbuilder init WORKSPACE --classes elliptical,spiral, or declare sets of your own with: "
            "catbuilder testset NAME --survey SURVEY --table T.csv"
        )
    for survey in (sets.labelled, sets.target):
        workspace.check_survey(survey)
    if set(sets.cuts) != _CLASSES:
        raise ConfigError(f"the recipe's sets.cuts has {', '.join(sets.cuts)}; it needs elliptical and spiral")


def _check_catalogue(con: Connection, sets: Sets) -> None:
    if not fetch_number(con, "SELECT count(*) FROM galaxy_zoo WHERE survey = ?", [sets.labelled]):
        raise InputError(
            f"no votes on {sets.labelled} galaxies are in the catalogue; bring them in with: catbuilder ingest gz1 FILE"
        )
    row = first_row(con, query("sets/assemble_stale"), {"labelled": sets.labelled, "target": sets.target})
    if row is None or row[0] is None:
        raise InputError(f"{sets.labelled} and {sets.target} were not matched yet; first: catbuilder crossmatch")
    if row[0]:
        raise InputError(
            f"{row[0]} objects came or changed after the cross-match of {sets.labelled} and {sets.target}, and test "
            "sets are written only once; match again first: catbuilder crossmatch"
        )


def _read_list(workspace: Workspace, file: Path, sets: Sets) -> CsvRows:
    """Read a list of pairs; its good rows have the values `labelled_id` and `target_id`."""
    table = read_table(file, [], unique=(), limits=workspace.config.limits)
    names = [next((c for c in table.columns if c.lower().startswith(s)), None) for s in (sets.labelled, sets.target)]
    if None in names:
        raise InputError(
            f"{file} has the columns {list_columns(table.columns)}; a list of pairs needs one that begins with "
            f"'{sets.labelled}' and one that begins with '{sets.target}'"
        )
    seen: dict[tuple[str, int], int] = {}
    good = []
    for row in table.rows:
        pair = [row.cells[str(name)] for name in names]
        try:
            ids = [parse_object_id(text)[0] for text in pair]
            for place in zip(("labelled", "target"), ids, strict=True):
                if place in seen:
                    raise BadValue(f"the id {place[1]} is already in row {seen[place]}")
            seen.update({place: row.number for place in zip(("labelled", "target"), ids, strict=True)})
            good.append(CsvRow(row.number, row.cells, dict(zip(("labelled_id", "target_id"), ids, strict=True))))
        except BadValue as error:
            table.reject(row.number, {"object_id": pair[0]}, str(error))
    table.rows = good
    return table


def _find_votes(con: Connection, sets: Sets) -> None:
    con.execute(query("sets/assemble_votes"), {"labelled": sets.labelled, **sets.cuts})
    con.execute(query("sets/assemble_overlap"), {"labelled": sets.labelled, "target": sets.target})


def _record_test_sets(recording: Recording, sets: Sets, lists: dict[str, CsvRows], report: AssembleReport) -> None:
    """HP, then a listed FO, then calibration from what is in neither, then FO by rule: the order is the rule."""
    con = recording.con
    surveys = {"labelled": sets.labelled, "target": sets.target}
    report.frozen = tuple(name for name in ("HP", "FO") if _is_written(con, name, sets))
    _record_set(recording, "HP", sets, lists.get("HP"), report)
    if "FO" in lists:
        _record_set(recording, "FO", sets, lists["FO"], report)
    con.execute(query("sets/assemble_drawn"), {**surveys, "fraction": sets.calibration})
    if "FO" not in lists:
        _record_set(recording, "FO", sets, None, report)
    numbers = first_row(con, query("sets/assemble_numbers"), {"target": sets.target})
    assert numbers is not None
    (
        report.overlap, report.ties, report.tied_in_calibration, report.hp_in_overlap, report.hp_in_fo, report.late,
    ) = numbers  # fmt: skip
    report.already_trained = len(con.execute(query("sets/trained_test_objects"), {"test_set": None}).fetchall())
    report.already_calibrated = fetch_number(con, query("sets/trained_calibration"), surveys)


def _record_set(recording: Recording, name: str, sets: Sets, listed: CsvRows | None, report: AssembleReport) -> None:
    con = recording.con
    if name in report.frozen:
        return
    if listed is None:
        con.execute(query(f"sets/assemble_{name.lower()}_rule"))
    else:
        columns = {c: pa.array([row[c] for row in listed.rows], pa.int64()) for c in ("labelled_id", "target_id")}
        con.register("listed", pa.table(columns))
        con.execute(query("sets/assemble_listed"), {"labelled": sets.labelled, "target": sets.target})
        if name == "HP":
            report.hp_unmatched = fetch_number(
                con, "SELECT count(*) FROM members ANTI JOIN overlap USING (labelled_id, target_id)"
            )
        report.without_votes += fetch_number(con, "SELECT count(*) FROM members WHERE votes IS NULL")
    con.execute(
        query("sets/assemble_test_set"),
        {"test_set": name, "labelled": sets.labelled, "target": sets.target, "round": recording.round,
         "run": recording.run},
    )  # fmt: skip


def _record_training(recording: Recording, recipe: Recipe, report: AssembleReport) -> None:
    """Labels and splits of what trains, validates and calibrates; the target's other objects are the pool."""
    con, sets = recording.con, recipe.sets
    surveys = {"labelled": sets.labelled, "target": sets.target}
    clean = fetch_arrow(con, query("sets/assemble_clean"), {"labelled": sets.labelled})
    held_back = in_validation(clean["healpix"], recipe.validation.fraction)
    splits = pa.array(["validation" if held else "train" for held in held_back], pa.string())
    con.register("clean", clean.append_column("split", splits))
    said = fetch_arrow(con, query("sets/assemble_events"), surveys)
    report.events = record_events(recording, fresh_labels(recording, said))
    con.register("stated", said)
    withdrawn = fetch_arrow(con, query("sets/assemble_withdrawn"), surveys)
    report.withdrawn = record_events(recording, withdrawn)
    con.register("withdrawn", withdrawn)
    con.execute(query("sets/assemble_splits"), {**surveys, "round": recording.round, "run": recording.run})
    replace_older(recording, "splits")


def _is_written(con: Connection, name: str, sets: Sets) -> bool:
    """Whether the target's version stands: a second target survey gets its own of the same galaxies."""
    text = "SELECT count(*) FROM test_sets WHERE test_set = ? AND survey = ?"
    return bool(fetch_number(con, text, [name, sets.target]))


def _has_measurements(con: Connection, survey: str) -> bool:
    return bool(fetch_number(con, "SELECT count(*) FROM des_coadd WHERE survey = ?", [survey]))
