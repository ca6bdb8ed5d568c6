"""Assemble the training, validation, test and calibration sets and the pool, by the rules of Khan et al. 2019.

The sets follow from the volunteers' votes, the overlap (the galaxies that both surveys observed) and a hash of the id.
HP are the galaxies of the overlap with clean votes, or those of a list. A fixed fifth of the rest of the overlap
calibrates. FO are all galaxies of the overlap but that fifth. Test sets are written once: a second call adds new
galaxies to training, calibration and pool, and leaves HP and FO as they are.

Reference: Khan et al. 2019 (arXiv:1812.02183), section II and table 1.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row
from catbuilder.catalogue.label_events import fresh_labels, record_events
from catbuilder.catalogue.workspace import Recording, Workspace, record_rejections, replace_older
from catbuilder.core.errors import ConfigError, InputError
from catbuilder.core.paths import named_path
from catbuilder.core.recipe import Recipe, Sets
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.user_csv import (
    BadValue,
    CsvRow,
    CsvRows,
    list_columns,
    parse_object_id,
    read_table,
    unused_columns,
)
from catbuilder.sets.aliases import AliasReport, find_aliases
from catbuilder.sets.firewall import update_firewall
from catbuilder.sets.population import apply_population, domain_counts, load_population
from catbuilder.sets.validation_split import in_validation

PAPER_COUNTS = {
    ("train", "sdss", "spiral"): 18_352, ("train", "sdss", "elliptical"): 18_268,
    ("HP", "sdss", "spiral"): 516, ("HP", "sdss", "elliptical"): 550,
    ("HP", "des", "spiral"): 516, ("HP", "des", "elliptical"): 550,
    ("FO", "sdss", "spiral"): 6_677, ("FO", "sdss", "elliptical"): 5_904,
    ("FO", "des", "spiral"): 6_677, ("FO", "des", "elliptical"): 5_904,
}  # fmt: skip
"""Galaxies in the sets of Khan et al. 2019, table 1. Its validation set has 963 of both classes together."""

_CLASSES = {"elliptical", "spiral"}


@dataclass(frozen=True)
class AssembleReport:
    """Result of `assemble`.

    Attributes
    ----------
    counts : pyarrow.Table
        Table with the columns part, survey, class, galaxies and with_stamp (numbers).
    overlap : int
        Galaxies with votes that both surveys observed.
    ties : int
        Of these, galaxies whose two debiased votes are equal.
    tied_in_calibration : int
        Ties that are in the calibration set.
    hp_in_overlap : int
        Galaxies of HP that are also in the overlap.
    hp_in_fo : int
        Galaxies of HP that are also in FO.
    hp_unmatched : int
        Pairs of the HP list that the cross-match does not have.
    without_votes : int
        Members of the listed sets without votes.
    frozen : tuple[str, ...]
        Test sets that were written by an earlier call.
    late : int
        Galaxies that would be in FO if they had been ingested before it was written.
    already_trained : int
        Test objects that an earlier round trained on.
    already_calibrated : int
        Calibration objects that an earlier round trained on.
    events : int
        Labels recorded.
    withdrawn : int
        Labels of an earlier call, retracted because the votes no longer give them.
    images : AliasReport or None
        Images that were linked to catalogued objects.
    domains : dict[tuple[str, str], int]
        Objects by (domain, reason).
    firewall : dict[str, int]
        Objects kept out of training, by rule.
    unused_columns : tuple[str, ...]
        Columns of the lists that are not used.
    """

    counts: pa.Table
    overlap: int = 0
    ties: int = 0
    tied_in_calibration: int = 0
    hp_in_overlap: int = 0
    hp_in_fo: int = 0
    hp_unmatched: int = 0
    without_votes: int = 0
    frozen: tuple[str, ...] = ()
    late: int = 0
    already_trained: int = 0
    already_calibrated: int = 0
    events: int = 0
    withdrawn: int = 0
    images: AliasReport | None = None
    domains: dict[tuple[str, str], int] = field(default_factory=dict)
    firewall: dict[str, int] = field(default_factory=dict)
    unused_columns: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """Describe the sets, beside the table of counts."""
        text = [
            f"Overlap: {_galaxies(self.overlap)} with votes that both surveys observed. {self.ties:,} of them "
            f"{'ties' if self.ties == 1 else 'tie'} (the votes for the two classes are equal): such a galaxy is not in "
            f"FO, and counts as an error in calibration, which has {self.tied_in_calibration:,}.",
            f"HP and the overlap: {counted(self.hp_in_overlap, 'galaxy of HP is', 'galaxies of HP are')} also in the "
            f"overlap, {self.hp_in_fo:,} of them in FO; the two test sets are not disjoint.",
            "Validation of the paper: 963 galaxies of both classes.",
            *unused_columns(self.unused_columns),
        ]
        if self.frozen:
            text.append(f"{' and '.join(self.frozen)}: written by an earlier call and frozen; not changed.")
        if self.late:
            text.append(f"{_galaxies(self.late)} of the overlap came after FO was written, and so into no set.")
        if self.withdrawn:
            what = counted(self.withdrawn, "label of an earlier call is", "labels of an earlier call are")
            text.append(f"{what} retracted, which the votes no longer give.")
        if self.images and self.images.identified:
            shows = counted(self.images.identified, "image given by position shows", "images given by position show")
            text.append(f"{shows} a catalogued galaxy, as an alias of it from now on.")
        if self.firewall:
            kept_out = ", ".join(f"{n} by {rule}" for rule, n in sorted(self.firewall.items()))
            text.append(f"Firewall: kept out of training as possible test or calibration galaxies: {kept_out}.")
        return text + self._warnings() + self._domain_sentences()

    def _warnings(self) -> list[str]:
        text = []
        if self.hp_unmatched:
            pairs = counted(
                self.hp_unmatched, "pair of the HP list is not a pair", "pairs of the HP list are not pairs"
            )
            text.append(f"Warning: {pairs} of the cross-match.")
        if self.without_votes:
            galaxies = counted(self.without_votes, "listed test galaxy has", "listed test galaxies have")
            text.append(f"Warning: {galaxies} no votes, and so no true class.")
        if self.already_trained:
            text.append(
                f"Warning: earlier rounds were trained on {counted(self.already_trained, 'test object')}; the metrics "
                "of those rounds are invalid."
            )
        if self.already_calibrated:
            text.append(
                "Warning: earlier rounds were trained on "
                f"{counted(self.already_calibrated, 'calibration galaxy', 'calibration galaxies')}, which cannot "
                "measure the models of those rounds."
            )
        return text

    def _domain_sentences(self) -> list[str]:
        if not self.domains:
            return ["No catalogue of the target survey is ingested: domains come from the images alone."]
        text = []
        if not any(domain == "in" for domain, _ in self.domains):
            text.append("Warning: no catalogued object is in the target population, so none can be promoted.")
        for (domain, reason), n in self.domains.items():
            text.append(f"Domain {domain}: {counted(n, 'object')}{f' ({reason})' if reason else ''}.")
        return text


def assemble(
    workspace: Workspace,
    recipe: Recipe | str | Path | None = None,
    *,
    hp: str | Path | None = None,
    fo: str | Path | None = None,
    strict: bool = False,
) -> AssembleReport:
    """Build the sets of the first round from the catalogues and their cross-match, by the rules of a recipe's `[sets]`.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    recipe : Recipe, str or Path, optional
        A recipe, the name of a shipped one, or the path of a TOML file. By default the recipe that `catbuilder.toml`
        names.
    hp, fo : str or Path, optional
        CSV files that list the pairs of the test sets HP and FO, with one column of ids for each survey, whose name
        begins with the survey's (`sdss_objid`, `des_coadd_object_id`). By default the set follows the recipe's rule. A
        list with a row that cannot be used is refused, since test sets are written once.
    strict : bool
        Also refuse rows of the lists that only repeat an earlier row; default False.

    Returns
    -------
    AssembleReport
        Numbers of galaxies in each set, and of those that were excluded.

    Raises
    ------
    InputError
        There are no votes or there is no cross-match to build from, or a list cannot be used.
    ConfigError
        The recipe's sets do not fit the workspace's classes or surveys.

    Examples
    --------
    >>> report = catbuilder.assemble(workspace, "paper", hp="hp.csv")
    >>> report.counts.to_pylist()
    """
    hp = None if hp is None else named_path(hp, "the table of HP")
    fo = None if fo is None else named_path(fo, "the table of FO")
    recipe = workspace.recipe(recipe)
    sets = recipe.sets
    _check_settings(workspace, sets)
    population = load_population(sets.population)
    lists = {
        name: _read_list(workspace, file, sets, strict) for name, file in (("HP", hp), ("FO", fo)) if file is not None
    }
    images = find_aliases(workspace)
    with workspace.reading() as con:
        _check_catalogue(con, sets)
    domains: dict[tuple[str, str], int] = {}
    with workspace.recording("assemble") as recording:
        _find_votes(recording.con, sets)
        frozen = tuple(name for name in ("HP", "FO") if _is_written(recording.con, name, sets))
        numbers = _record_test_sets(recording, sets, lists, frozen)
        numbers |= _record_training(recording, recipe)
        if _has_measurements(recording.con, sets.target):
            apply_population(recording, sets.target, population)
            domains = domain_counts(recording.con, sets.target)
        for table in lists.values():
            record_rejections(recording, table.rejections)
    firewall = update_firewall(workspace, recipe.firewall.radius_arcsec).excluded
    with workspace.reading() as con:
        counts = fetch_arrow(con, query("sets/assemble_counts"))
    unused = tuple(dict.fromkeys(name for table in lists.values() for name in table.unused))
    return AssembleReport(
        counts, frozen=frozen, images=images, domains=domains, firewall=firewall, unused_columns=unused, **numbers
    )


def _check_settings(workspace: Workspace, sets: Sets) -> None:
    if not set(workspace.config.classes) >= _CLASSES:
        raise ConfigError(
            "assemble needs the classes elliptical and spiral of Galaxy Zoo 1, and this workspace has "
            f"{', '.join(workspace.config.classes)}; make one with: catbuilder init WORKSPACE --classes "
            "elliptical,spiral, or declare sets of your own with: "
            "catbuilder testset NAME --survey SURVEY --table T.csv"
        )
    for survey in (sets.labelled, sets.target):
        workspace.check_survey(survey)
    if set(sets.cuts) != _CLASSES:
        raise ConfigError(f"the recipe's sets.cuts has {', '.join(sets.cuts)}; it needs elliptical and spiral")


def _check_catalogue(con: Connection, sets: Sets) -> None:
    if not fetch_number(con, "SELECT count(*) FROM galaxy_zoo WHERE survey = ?", [sets.labelled]):
        raise InputError(
            f"no votes on {sets.labelled} galaxies are in the catalogue; ingest them with: catbuilder ingest gz1 FILE"
        )
    row = first_row(con, query("sets/assemble_changed_since_match"), {"labelled": sets.labelled, "target": sets.target})
    if row is None or row[0] is None:
        raise InputError(f"{sets.labelled} and {sets.target} are not matched yet; first run: catbuilder crossmatch")
    if row[0]:
        raise InputError(
            f"{counted(row[0], 'object was', 'objects were')} added or changed after the cross-match of "
            f"{sets.labelled} and {sets.target}, and test sets are written only once; first match again: "
            "catbuilder crossmatch"
        )


def _read_list(workspace: Workspace, file: Path, sets: Sets, strict: bool) -> CsvRows:
    """Read a list of pairs; its good rows have the values `labelled_id` and `target_id`."""
    table = read_table(file, [], unique=(), limits=workspace.config.limits)
    names = [
        next((c for c in table.columns if c.lower().startswith(s.lower())), None) for s in (sets.labelled, sets.target)
    ]
    if None in names:
        raise InputError(
            f"{file} has the columns {list_columns(table.columns)}; a list of pairs needs one that begins with "
            f"'{sets.labelled}' and one that begins with '{sets.target}'"
        )
    table.unused = tuple(name for name in table.unused if name not in names)
    seen: dict[tuple[str, int], CsvRow] = {}
    good = []
    for row in table.rows:
        pair = [row.cells[str(name)] for name in names]
        try:
            ids = [parse_object_id(text)[0] for text in pair]
        except BadValue as error:
            table.reject(row.number, {"object_id": pair[0]}, str(error))
            continue
        places = list(zip(("labelled", "target"), ids, strict=True))
        earlier = [seen.get(place) for place in places]
        for text, before in zip(pair, earlier, strict=True):
            if before is not None:
                repeated = all(one is before for one in earlier) and row.cells == before.cells
                reason = f"the id {text} is already in row {before.number}"
                table.reject(row.number, {"object_id": pair[0]}, reason, repeated=repeated)
                break
        else:
            seen |= dict.fromkeys(places, row)
            good.append(CsvRow(row.number, row.cells, dict(zip(("labelled_id", "target_id"), ids, strict=True))))
    table.rows = good
    table.refuse_rejections(repeats=strict)
    return table


def _find_votes(con: Connection, sets: Sets) -> None:
    con.execute(query("sets/assemble_votes"), {"labelled": sets.labelled, **sets.cuts})
    con.execute(query("sets/assemble_overlap"), {"labelled": sets.labelled, "target": sets.target})


def _record_test_sets(
    recording: Recording, sets: Sets, lists: dict[str, CsvRows], frozen: tuple[str, ...]
) -> dict[str, int]:
    """Record HP, a listed FO, calibration from the rest, then FO by rule; return fields of the report.

    The order matters: calibration is drawn from the galaxies that are in neither HP nor a listed FO.
    """
    con = recording.con
    surveys = {"labelled": sets.labelled, "target": sets.target}
    hp_unmatched, hp_without_votes = _record_set(recording, "HP", sets, lists.get("HP"), frozen)
    fo_without_votes = 0
    if "FO" in lists:
        _, fo_without_votes = _record_set(recording, "FO", sets, lists["FO"], frozen)
    con.execute(query("sets/assemble_calibration"), {**surveys, "fraction": sets.calibration})
    if "FO" not in lists:
        _record_set(recording, "FO", sets, None, frozen)
    row = first_row(con, query("sets/assemble_overlap_counts"), {"target": sets.target})
    assert row is not None
    counted = ("overlap", "ties", "tied_in_calibration", "hp_in_overlap", "hp_in_fo", "late")
    return dict(zip(counted, row, strict=True)) | {
        "hp_unmatched": hp_unmatched,
        "without_votes": hp_without_votes + fo_without_votes,
        "already_trained": len(con.execute(query("sets/trained_test_objects"), {"test_set": None}).fetchall()),
        "already_calibrated": fetch_number(con, query("sets/trained_calibration"), surveys),
    }


def _record_set(
    recording: Recording, name: str, sets: Sets, listed: CsvRows | None, frozen: tuple[str, ...]
) -> tuple[int, int]:
    """Record a test set, unless it is frozen; return the listed pairs not in the overlap, and those without votes."""
    con, unmatched, without_votes = recording.con, 0, 0
    if name in frozen:
        return unmatched, without_votes
    if listed is None:
        con.execute(query(f"sets/assemble_{name.lower()}_rule"))
    else:
        columns = {c: pa.array([row[c] for row in listed.rows], pa.int64()) for c in ("labelled_id", "target_id")}
        con.register("listed", pa.table(columns))
        con.execute(query("sets/assemble_listed_members"), {"labelled": sets.labelled, "target": sets.target})
        unmatched = fetch_number(con, "SELECT count(*) FROM members ANTI JOIN overlap USING (labelled_id, target_id)")
        without_votes = fetch_number(con, "SELECT count(*) FROM members WHERE votes IS NULL")
    con.execute(
        query("sets/assemble_test_set"),
        {"test_set": name, "labelled": sets.labelled, "target": sets.target, "round": recording.round,
         "run": recording.run},
    )  # fmt: skip
    return unmatched, without_votes


def _record_training(recording: Recording, recipe: Recipe) -> dict[str, int]:
    """Record labels and splits of training, validation, calibration and pool; return fields of the report."""
    con, sets = recording.con, recipe.sets
    surveys = {"labelled": sets.labelled, "target": sets.target}
    clean = fetch_arrow(con, query("sets/assemble_training_galaxies"), {"labelled": sets.labelled})
    held_back = in_validation(clean["healpix"], recipe.validation.fraction)
    splits = pa.array(["validation" if held else "train" for held in held_back], pa.string())
    con.register("clean", clean.append_column("split", splits))
    labels = fetch_arrow(con, query("sets/assemble_labels"), surveys)
    recorded = record_events(recording, fresh_labels(recording, labels))
    con.register("stated", labels)
    withdrawn = fetch_arrow(con, query("sets/assemble_label_retractions"), surveys)
    retracted = record_events(recording, withdrawn)
    con.register("withdrawn", withdrawn)
    con.execute(query("sets/assemble_splits"), {**surveys, "round": recording.round, "run": recording.run})
    replace_older(recording, "splits")
    return {"events": recorded, "withdrawn": retracted}


def _is_written(con: Connection, name: str, sets: Sets) -> bool:
    """Test whether the set is written for the target survey: each target survey has its own version."""
    text = "SELECT count(*) FROM test_sets WHERE test_set = ? AND survey = ?"
    return bool(fetch_number(con, text, [name, sets.target]))


def _has_measurements(con: Connection, survey: str) -> bool:
    return bool(fetch_number(con, "SELECT count(*) FROM des_coadd WHERE survey = ?", [survey]))


def _galaxies(n: int) -> str:
    return counted(n, "galaxy", "galaxies")
