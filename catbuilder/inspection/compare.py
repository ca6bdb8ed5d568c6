"""Compare the classes of the catalogue with those of another catalogue.

Objects are paired by id or by position, one to one, the nearest pairs first. The result is an agreement, not an
accuracy: neither catalogue is the truth. Everything is counted inside DuckDB, one range of ids at a time.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from catbuilder.active_learning.agreement import Agreement, measure_agreement
from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row
from catbuilder.catalogue.id_ranges import make_table
from catbuilder.catalogue.round_records import NOW, require_closed
from catbuilder.catalogue.where_condition import condition_errors, confined_condition
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import INT64_MAX, require_number_in, require_one_of
from catbuilder.core.errors import InputError
from catbuilder.core.paths import named_path
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.user_csv import Rejection, list_rejections, refuse_rejections, unused_columns
from catbuilder.decisions.binned_accuracy import MAX_BINS, MIN_OBJECTS
from catbuilder.ingest.tables.open_table import open_table
from catbuilder.ingest.tables.table_file import folded_name
from catbuilder.inspection.other_catalogue import (
    CatalogueColumns,
    check_values,
    choice_of_table,
    known_layout,
    read_other_catalogue,
    resolve_columns,
    unusable_rows,
)
from catbuilder.sets.pairs import Progress, Side, check_radius, find_candidates, pair_one_to_one, temporary_survey

VARIABLES = ("mag_r", "radius_arcsec")
_EXACT = 1_000_000  # largest number of values held in memory to find quantiles
_GUESTS = "the other catalogue"  # stands for a survey; real survey names have no blanks
_SURE = {"predicted_label": "coalesce(c.calibrated_confidence, c.predicted_confidence)", "label": "c.confidence"}


@dataclass(frozen=True)
class CompareRequest:
    """The column of ours to compare, the objects, and how to pair them.

    Attributes
    ----------
    of : {'predicted_label', 'label'}
        Column of the catalogue to compare (default 'predicted_label').
    at : int or None
        Number of a round: as of its end; by default as it is now.
    where : str
        SQL condition on the columns of the view `catalog` (default "domain = 'in'").
    by : {'id', 'position'} or None
        How to pair objects; by default by id if the file has ids of the survey.
    radius_arcsec : float
        Largest separation of a pair of positions, arcsec, above 0 and up to 60 (default 1.0).
    examples : int
        Number of disagreements to list, the most confident first (default 24).
    """

    of: Literal["predicted_label", "label"] = "predicted_label"
    at: int | None = None
    where: str = "domain = 'in'"
    by: Literal["id", "position"] | None = None
    radius_arcsec: float = 1.0
    examples: int = 24


@dataclass(frozen=True)
class Comparison:
    """Agreement of two catalogues. It says how similar they are, not which one is right.

    Attributes
    ----------
    title : str
        Title of the other catalogue.
    survey : str
        Survey of the objects.
    by : str
        How objects were paired: 'id' or 'position'.
    theirs : int
        Number of rows of the other catalogue.
    committed : int
        Number of these rows that commit to one of our classes.
    paired : int
        Number of objects in both.
    compared : int
        Number of objects in both for which both commit to a class.
    agreement : pyarrow.Table
        Table with the columns variable (null: all objects), bin_low, bin_high, and the fields of `Agreement`.
    confusion : pyarrow.Table
        Table with the columns variable, bin_low, bin_high, ours, theirs and objects (number).
    disagreements : pyarrow.Table
        Table with the columns survey, object_id, ours, confidence, theirs, mag_r (mag) and radius_arcsec.
    rejections : tuple[Rejection, ...]
        The first twenty rows of the other catalogue that could not be used.
    unused_columns : tuple[str, ...]
        Columns of the other catalogue that were not used.
    notes : tuple[str, ...]
        Sentences on the other catalogue's file as a whole: a result that the service cut, letters that were decoded,
        units and frames that were converted, positions that look like hours or radians.
    unusable : int
        Number of rows of the other catalogue that could not be used.
    """

    title: str
    survey: str
    by: str
    theirs: int
    committed: int
    paired: int
    compared: int
    agreement: pa.Table
    confusion: pa.Table
    disagreements: pa.Table
    rejections: tuple[Rejection, ...] = ()
    unused_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unusable: int = 0

    @property
    def nothing_used(self) -> bool:
        """Whether no row of the other catalogue has a class and a counterpart here."""
        return not (self.committed and self.paired)

    def sentences(self) -> list[str]:
        """Return the result as sentences."""
        said = [
            f"{self.title}: {counted(self.theirs, 'row')}, of which {self.committed:,} commit to a class; "
            f"{self.paired:,} are objects of {self.survey} here (by {self.by}), and {self.compared:,} have a class in "
            "both catalogues."
        ]
        if self.compared:
            whole = self.agreement.to_pylist()[0]
            kappa = (
                "kappa is undefined, since both have only one class"
                if whole["kappa"] is None
                else f"kappa {whole['kappa']:.3f} ({whole['kappa_low']:.3f} to {whole['kappa_high']:.3f})"
            )
            share, low, high = (f"{100 * whole[name]:.2f}" for name in ("agreement", "low", "high"))
            said.append(
                f"They agree on {share} % ({low} to {high}); {kappa}. That is agreement, not accuracy: "
                "neither catalogue is the truth."
            )
        return said

    def warnings(self) -> list[str]:
        """List what is to be known of the file, the rows that could not be used, and the columns that were not."""
        notes = [f"{note}." for note in self.notes]
        rejected = list_rejections(self.rejections, recorded=False, n=self.unusable)
        return notes + rejected + unused_columns(self.unused_columns)


def compare(
    workspace: Workspace,
    file: str | Path,
    *,
    survey: str | None = None,
    columns: CatalogueColumns | None = None,
    question: CompareRequest | None = None,
    table: str | None = None,
    strict: bool = False,
    reporter: Reporter | None = None,
) -> Comparison:
    """Compare the catalogue with another one: agreement and Cohen's kappa, overall and in bins of magnitude and size.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    file : str or Path
        CSV, ECSV, FITS, VOTable or Parquet file of the other catalogue.
    survey : str, optional
        Survey of the objects to compare; by default that of the file's ids, or the only survey with objects.
    columns : CatalogueColumns, optional
        Columns of the file, if its layout is not known or other columns are meant.
    question : CompareRequest, optional
        Column, round, condition and pairing; by default the predicted classes of the target population.
    table : str, optional
        Name or number of the table in a FITS file or VOTable with several; by default the one that has the columns.
    strict : bool
        Refuse a file with a row that cannot be read or paired for lack of an id or position; default False.
    reporter : Reporter, optional
        Shows progress and messages; by default nothing is printed.

    Returns
    -------
    Comparison
        Numbers of objects paired and compared; tables of agreement, of the confusion counts and of the disagreements.

    Raises
    ------
    InputError
        The file cannot be read or lacks a column, none of its classes is ours, a value of the class never occurs, or
        the survey is unknown.
    RoundError
        There is no round `at`, or it is not closed.
    QueryError
        The condition is not valid.

    Examples
    --------
    >>> found = catbuilder.compare(workspace, "vega_ferrero.fits", survey="des")
    >>> found.agreement.to_pylist()[0]["kappa"]
    """
    file = named_path(file, "the other catalogue")
    question, reporter = question or CompareRequest(), reporter or Reporter(quiet=True)
    check_radius(question.radius_arcsec)
    asked = columns or CatalogueColumns()
    require_one_of(question.of, _SURE, "the column of ours to compare")
    if question.by is not None:
        require_one_of(question.by, ("id", "position"), "the way to pair objects")
    require_number_in(asked.least, 0, 1, "the smallest share that counts")
    require_number_in(question.examples, 0, INT64_MAX, "the number of disagreements")
    opened = open_table(file, workspace.config.limits, choice_of_table(table, asked))
    read = resolve_columns(opened, known_layout(opened, question.of), asked, workspace.config.classes)
    _check_classes(workspace, read)
    with workspace.reading() as con:
        if question.at is not None:
            require_closed(con, question.at)
        survey = _survey(con, workspace, survey or read.survey)
        by = question.by or ("id" if read.object_id is not None and read.survey in (None, survey) else "position")
        _check_way(file, read, by)
        with reporter.bar("reading") as update:
            notes = read_other_catalogue(con, opened, read, survey, by == "position", update)
        rejections, unusable = unusable_rows(con, opened, read, by)
        if strict:
            refuse_rejections(file, rejections, unusable)
        check_values(con, opened, read, every=bool(asked.meanings), some_rejected=bool(unusable))
        with reporter.bar("matching") as update:
            _pair(con, survey, by, question.radius_arcsec, update)
        _join(con, survey, question)
        found = _counted(con, workspace.config.classes, question, read.title, survey, by)
    used = {folded_name(name) for name in read.named}
    unused = tuple(column.name for column in opened.columns if folded_name(column.name) not in used)
    notes = [*opened.notes, *notes]
    return replace(found, rejections=rejections, unusable=unusable, unused_columns=unused, notes=tuple(notes))


def draw_disagreements(workspace: Workspace, comparison: Comparison, file: Path) -> int:
    """Draw the listed disagreements of a comparison with `draw_mosaic`, and return the number with an image.

    Raises
    ------
    InputError
        There is no disagreement, or the file's name is not that of a PNG, PDF or SVG.
    """
    from catbuilder.inspection.mosaic import MosaicStamp, draw_mosaic  # matplotlib takes a second to import

    rows = comparison.disagreements.to_pylist()
    if not rows:
        raise InputError(f"there is no disagreement to draw in {file}; leave out --mosaic")
    pictures = [MosaicStamp(row["survey"], row["object_id"], _caption(row)) for row in rows]
    return draw_mosaic(
        workspace, pictures, file, title=f"disagreements with {comparison.title}, the most confident first"
    )


def _caption(row: dict[str, Any]) -> str:
    sure = "" if row["confidence"] is None else f" {row['confidence']:.3f}"
    return f"{row['object_id']}\nhere {row['ours']}{sure}, there {row['theirs']}"


def _check_classes(workspace: Workspace, read: CatalogueColumns) -> None:
    unknown = sorted(read.classes - set(workspace.config.classes))
    if unknown or not read.classes:
        what = f"class {' and '.join(unknown)}, which the workspace lacks" if unknown else "none of our classes"
        raise InputError(
            f"{read.title} names {what}; the classes of the workspace are {', '.join(workspace.config.classes)}: map "
            "them with --class OURS=THEIRS or --share OURS=COLUMN"
        )


def _survey(con: Connection, workspace: Workspace, survey: str | None) -> str:
    held = [name for (name,) in con.execute("SELECT DISTINCT survey FROM objects ORDER BY 1").fetchall()]
    if survey is None and len(held) == 1:
        return str(held[0])
    if survey is None:
        raise InputError(f"the catalogue has objects of {' and '.join(held) or 'no survey'}; choose one with --survey")
    workspace.check_survey(survey)
    if survey not in held:
        raise InputError(f"the catalogue has no object of {survey}; give --survey one of {', '.join(held)}")
    return survey


def _check_way(file: Path, read: CatalogueColumns, by: str) -> None:
    if by == "id" and read.object_id is None:
        raise InputError(f"{file} cannot be paired by id: its id column is not known; give --id COLUMN")
    if by == "position" and (read.ra is None or read.dec is None):
        raise InputError(f"{file} cannot be paired by position; name its columns in degrees with --ra and --dec")


def _pair(con: Connection, survey: str, by: str, radius_arcsec: float, progress: Progress) -> None:
    """Make the temporary table `counterparts`: our object, and its class in the other catalogue."""
    if by == "position":
        with temporary_survey(con, "theirs", _GUESTS):
            find_candidates(con, Side(survey), Side(_GUESTS), radius_arcsec, progress)
        pair_one_to_one(con)
    con.execute(query(f"inspection/compare_by_{by}"))


def _join(con: Connection, survey: str, question: CompareRequest) -> None:
    """Make the temporary table `compared` of the paired objects that meet the user's condition."""
    text = query("inspection/compare_objects").format(
        ours=f"c.{question.of}", confidence=_SURE[question.of], condition=confined_condition(con, question.where)
    )
    with condition_errors(question.where):
        make_table(con, "compared", text, {"at": NOW if question.at is None else question.at, "survey": survey})


def _counted(
    con: Connection, classes: tuple[str, ...], question: CompareRequest, title: str, survey: str, by: str
) -> Comparison:
    agreements: list[dict[str, Any]] = []
    confusion: list[dict[str, Any]] = []
    for place, counts in _slices(con, classes):
        agreements.append(place | asdict(measure_agreement(counts)))
        confusion += [
            place | {"ours": ours, "theirs": theirs, "objects": int(counts[i, j])}
            for i, ours in enumerate(classes)
            for j, theirs in enumerate(classes)
        ]
    return Comparison(
        title, survey, by,
        theirs=fetch_number(con, "SELECT count(*) FROM theirs"),
        committed=fetch_number(con, "SELECT count(*) FROM theirs WHERE label IS NOT NULL"),
        paired=fetch_number(con, "SELECT count(*) FROM compared"),
        compared=agreements[0]["n"],
        agreement=pa.Table.from_pylist(agreements, schema=_AGREEMENT),
        confusion=pa.Table.from_pylist(confusion, schema=_CONFUSION),
        disagreements=fetch_arrow(con, query("inspection/compare_disagreements"), {"n": question.examples}),
    )  # fmt: skip


def _slices(con: Connection, classes: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield the confusion matrix of all compared objects, and then of each bin of each variable."""
    yield {"variable": None, "bin_low": None, "bin_high": None}, _confusions(con, "1", [], classes)[0]
    for variable in VARIABLES:
        edges = _edges(con, variable)
        if not edges:
            continue
        matrices = _confusions(con, variable, edges[1:-1], classes)
        for (low, high), counts in zip(pairwise(edges), matrices, strict=True):
            yield {"variable": variable, "bin_low": low, "bin_high": high}, counts


def _edges(con: Connection, variable: str) -> list[float]:
    """Compute edges of bins with equal numbers of objects, as `slices.quantile_edges` does; [] without objects.

    With more than `_EXACT` objects the inner edges come from a sample, so that bins are equal to about 0.1 per cent of
    the objects.
    """
    known = f"ours IS NOT NULL AND theirs IS NOT NULL AND {variable} IS NOT NULL"
    n = fetch_number(con, f"SELECT count(*) FROM compared WHERE {known}")
    if not n:
        return []
    bins = min(MAX_BINS, max(1, n // MIN_OBJECTS))
    asked = {"quantiles": list(np.linspace(0, 1, bins + 1)), "step": -(-n // _EXACT)}
    low, high, edges = first_row(con, query("inspection/compare_edges").format(variable=variable), asked) or (0, 0, [])
    distinct = sorted({low, *edges[1:-1], high})
    return distinct if len(distinct) > 1 else distinct * 2


def _confusions(con: Connection, variable: str, inner: list[float], classes: tuple[str, ...]) -> np.ndarray:
    """Count objects by bin, our class and their class: int (bins, classes, classes)."""
    counts = np.zeros((len(inner) + 1, len(classes), len(classes)), np.int64)
    text = query("inspection/compare_counts").format(variable=variable)
    for number, ours, theirs, objects in con.execute(text, {"inner": inner}).fetchall():
        counts[number, classes.index(ours), classes.index(theirs)] = objects
    return counts


_PLACE = [("variable", pa.string()), ("bin_low", pa.float64()), ("bin_high", pa.float64())]
_AGREEMENT = pa.schema(
    [*_PLACE, *((name, pa.int64() if name == "n" else pa.float64()) for name in Agreement.__dataclass_fields__)]
)
_CONFUSION = pa.schema([*_PLACE, ("ours", pa.string()), ("theirs", pa.string()), ("objects", pa.int64())])
