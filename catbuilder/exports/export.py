"""Export the catalogue as FITS, VOTable, VOParquet, HATS or CSV; the file name gives the format."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.core.files import atomic_write
from catbuilder.core.paths import file_to_write, folder_to_write
from catbuilder.core.progress import Reporter
from catbuilder.core.safe_text import counted
from catbuilder.exports.rows import Selection, open_selection

FORMATS = {".fits": "FITS", ".fit": "FITS", ".vot": "VOTable", ".parquet": "VOParquet", ".csv": "CSV", ".hats": "HATS"}


@dataclass(frozen=True)
class ExportReport:
    """Number of rows and columns of an export, and the surveys and label sources of its rows.

    Attributes
    ----------
    rows : int
        Number of rows written.
    columns : int
        Number of columns written.
    without_position : int
        Number of rows left out of HATS, which needs a position.
    surveys : frozenset[str]
        Surveys of the rows selected.
    label_sources : frozenset[str or None]
        Sources of the labels of the rows selected.
    """

    rows: int
    columns: int
    without_position: int = 0
    surveys: frozenset[str] = frozenset()
    label_sources: frozenset[str | None] = frozenset()

    def sentences(self) -> list[str]:
        """Return the result as sentences."""
        said = [f"{counted(self.rows, 'object')}, {counted(self.columns, 'column')} written."]
        if self.without_position:
            said.append(f"{counted(self.without_position, 'object')} without a position left out: HATS needs one.")
        return said


def export(
    workspace: Workspace,
    target: str | Path,
    *,
    at: int | None = None,
    where: str | None = None,
    fits_plus: bool = False,
    reporter: Reporter | None = None,
) -> ExportReport:
    """Write the catalogue to a file, one row per object, sorted by survey and object_id.

    Columns, units, UCDs and descriptions are those of the view `catalog`; positions are ICRS. Every format except CSV
    contains version, round, recipe, model, seed and certificates. The target is replaced only when the new file is
    complete.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    target : str or Path
        A file name that ends in .fits, .fit, .vot, .parquet or .csv, or a folder name that ends in .hats.
    at : int, optional
        Number of a closed round: as of its end; by default as it is now.
    where : str, optional
        SQL condition on the columns of the view `catalog`; by default all objects.
    fits_plus : bool
        Put a VOTable document of the metadata into the primary HDU of a FITS file (FITS-plus of TOPCAT). Default False.
    reporter : Reporter, optional
        Shows progress and messages; by default nothing is printed.

    Returns
    -------
    ExportReport
        Numbers of rows and columns written.

    Raises
    ------
    InputError
        The target cannot be written, or its suffix is not that of a format.
    RoundError
        There is no round `at`, or it is not closed.
    QueryError
        The condition is not valid.
    WorkspaceBusy
        Another export to the same target is running.

    Examples
    --------
    >>> catbuilder.export(workspace, "spirals.fits", at=2, where="label = 'spiral'").rows
    """
    exports = workspace.path / "exports"
    if Path(target).parent.absolute() == exports.absolute():
        exports.mkdir(exist_ok=True)  # the workspace's own place for them
    target = _checked(target, fits_plus)
    suffix = target.suffix.lower()
    with open_selection(workspace, target, at, where, reporter or Reporter(quiet=True)) as selection:
        if suffix == ".hats":
            from catbuilder.exports.hats import write_hats

            left_out = write_hats(selection, target)
            return ExportReport(selection.rows - left_out, len(selection.columns), left_out)
        with atomic_write(target) as temporary:
            _writer(suffix, fits_plus)(selection, temporary)
        return ExportReport(
            selection.rows, len(selection.columns), surveys=frozenset(selection.surveys),
            label_sources=frozenset(selection.label_sources),
        )  # fmt: skip


def _checked(given: str | Path, fits_plus: bool) -> Path:
    target = Path(given)
    suffix = target.suffix.lower()
    if not target.name or target.name == ".." or not str(given).strip():
        raise InputError(f"'{given}' names no file to write; give one, as in: catbuilder export catalogue.fits")
    if suffix not in FORMATS:
        raise InputError(
            f"the suffix of '{target.name}' is not that of a format; use .fits, .vot, .parquet or .csv, or .hats for a "
            f"folder: catbuilder export {target.with_suffix('.fits')}"
        )
    if fits_plus and FORMATS[suffix] != "FITS":
        raise InputError(f"--fits-plus needs a file that ends in .fits, not '{target.name}'; change the name")
    if suffix != ".hats":
        return file_to_write(given)
    from catbuilder.exports.hats import check_hats_target

    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent}; make it, or choose another place for {target.name}")
    check_hats_target(target)
    return folder_to_write(target)


def _writer(suffix: str, fits_plus: bool) -> Callable[[Selection, Path], None]:
    """Return the function that writes a selection to a file; only FITS needs astropy."""
    if FORMATS[suffix] == "FITS":
        from catbuilder.exports.fits import write_fits

        return lambda selection, file: write_fits(selection, file, plus=fits_plus)
    if suffix == ".vot":
        from catbuilder.exports.votable import write_votable

        return write_votable
    from catbuilder.exports.parquet import write_csv, write_parquet

    return write_parquet if suffix == ".parquet" else write_csv
