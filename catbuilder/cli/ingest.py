"""The verbs of `catbuilder ingest`: each is one call into the library."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catbuilder.cli.options import WorkspaceOption, open_workspace, tell_more, tell_rejections

if TYPE_CHECKING:
    from catbuilder.ingest.images import IngestReport
    from catbuilder.ingest.tables.survey_catalogue import SurveyReport
    from catbuilder.ingest.tiles.ingest_tiles import TileReport

CatalogueFile = Annotated[
    Path,
    typer.Argument(
        help="CSV (also .csv.gz), FITS (also .fits.gz), VOTable or Parquet; of Parquet a folder or glob too."
    ),
]
KeepOption = Annotated[
    str, typer.Option(help="Other columns of the file to take along, separated by commas, with their units.")
]
UpdateOption = Annotated[
    bool,
    typer.Option(
        "--update", help="Let values that differ replace those that stand; `--at` an earlier round keeps them."
    ),
]

ingest_app = typer.Typer(help="Bring in images and tables.", no_args_is_help=True, rich_markup_mode=None)


@ingest_app.command(
    "images", epilog="Example: catbuilder ingest images cutouts --table cutouts/labels.csv --survey sdss"
)
def ingest_images(
    folder: Annotated[Path, typer.Argument(help="Folder of JPEG or PNG images.")],
    table: Annotated[
        Path,
        typer.Option(help="CSV with object_id, file; optional ra, dec, label, split, mag_g, mag_r, mag_i ..."),
    ],
    survey: Annotated[str, typer.Option(help="Survey that made the images: sdss, des ...")],
    split: Annotated[
        str | None, typer.Option(help="train, validation, calibration, pool or none, where the table is silent.")
    ] = None,
    source: Annotated[str, typer.Option(help="Who gave the labels: human, galaxy_zoo or imported.")] = "imported",
    rendering: Annotated[str | None, typer.Option(help="Name of the way these images were made.")] = None,
    arcsec_per_pixel: Annotated[float | None, typer.Option(help="Pixel scale of the images.")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Bring in a folder of images and the table that names them."""
    from catbuilder.core.progress import Reporter
    from catbuilder.ingest.images import ingest_images

    with Reporter().bar("reading images") as update:
        report = ingest_images(
            open_workspace(workspace), folder, table, survey=survey, split=split, source=source, rendering=rendering,
            arcsec_per_pixel=arcsec_per_pixel, progress=update,
        )  # fmt: skip
    _tell_ingest(report)


@ingest_app.command("gz1", epilog="Example: catbuilder ingest gz1 GalaxyZoo1_DR_table2.csv.gz")
def ingest_gz1(
    file: CatalogueFile,
    survey: Annotated[str, typer.Option(help="Survey whose ids these are.")] = "sdss",
    keep: KeepOption = "",
    update: UpdateOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Bring in the votes of Galaxy Zoo 1, Table 2."""
    _ingest_survey("gz1", file, survey, keep, update, workspace)


@ingest_app.command("sdss", epilog="Example: catbuilder ingest sdss photoobj.csv.gz --keep extinction_r")
def ingest_sdss(
    file: CatalogueFile,
    survey: Annotated[
        str, typer.Option(help="Survey whose ids these are; its release is in catbuilder.toml.")
    ] = "sdss",
    keep: KeepOption = "",
    update: UpdateOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Bring in rows of SDSS PhotoObj: objid, ra, dec, u, g, r, i, z, petroRad_r, run ..."""
    _ingest_survey("sdss", file, survey, keep, update, workspace)


@ingest_app.command("des", epilog="Example: catbuilder ingest des des_dr1_main.fits --keep ebv_sfd98,class_star_i")
def ingest_des(
    file: CatalogueFile,
    survey: Annotated[str, typer.Option(help="Survey whose ids these are; its release is in catbuilder.toml.")] = "des",
    keep: KeepOption = "",
    update: UpdateOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Bring in rows of the DES main table, as DESaccess gives them."""
    _ingest_survey("des", file, survey, keep, update, workspace)


@ingest_app.command("tiles", epilog="Example: catbuilder ingest tiles coadds --survey des --bands g,r,i")
def ingest_tiles(
    folder: Annotated[
        Path, typer.Argument(help="Folder of FITS tiles: ..._g.fits or ..._g.fits.fz, one a band, or cubes of bands.")
    ],
    survey: Annotated[str, typer.Option(help="Survey of the tiles, whose catalogued objects are cut out: des ...")],
    bands: Annotated[
        str | None, typer.Option(help="Three of g,r,i,z; by default g,r,i, and g,r,z of a cube without i.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Width of a stamp in radii of its object, or 'paper'; by default as in catbuilder.toml."),
    ] = None,
    objects: Annotated[
        Path | None, typer.Option(help="CSV with object_id, ra, dec, radius_arcsec (optional): cut these alone.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Cut colour stamps of a survey's objects out of its coadd tiles."""
    from catbuilder.core.progress import Reporter
    from catbuilder.ingest.tiles.ingest_tiles import ingest_tiles

    with Reporter().bar("cutting stamps") as update:
        report = ingest_tiles(
            open_workspace(workspace), folder, survey=survey, bands=bands, size=size, objects=objects, progress=update
        )
    _tell_tiles(report)


def _ingest_survey(kind: str, file: Path, survey: str, keep: str, update: bool, workspace: Path | None) -> None:
    from catbuilder.core.progress import Reporter
    from catbuilder.ingest.tables.survey_catalogue import ingest_survey

    names = [name.strip() for name in keep.split(",") if name.strip()]
    with Reporter().bar(f"reading {file.name}") as progress:
        report = ingest_survey(
            open_workspace(workspace), file, kind, survey=survey, keep=names, update=update, progress=progress
        )
    _tell_survey(report, "votes" if kind == "gz1" else "measurements")


def _tell_survey(report: "SurveyReport", what: str) -> None:
    print(
        f"{report.rows:,} rows read: {report.objects_added:,} objects added to {report.survey}, {what} of "
        f"{report.rows_added:,} objects added, {report.unchanged:,} were there already."
    )
    if report.rejected == report.rows:
        print("No row could be used.")
    elif report.unchanged == report.rows - report.rejected:
        print("Nothing has changed.")
    if report.taken_over:
        print(f"{report.taken_over:,} objects known from images or Galaxy Zoo now stand at this catalogue's position.")
    if report.sentinels:
        counts = ", ".join(f"{n:,} {name}" for name, n in report.sentinels.items())
        print(f"Values that say 'not measured' became NULL: {counts}.")
    if report.missing:
        print(f"The file lacks {', '.join(report.missing)}: they are NULL for objects that are new.")
    if report.differing:
        done = (
            "were updated" if report.updated else "differ from the catalogue and were left as they stand (see --update)"
        )
        print(f"{report.differing:,} objects {done}:")
        print("\n".join(f"  {difference}" for difference in report.differences))
    _tell_faults(report)


def _tell_faults(report: "SurveyReport") -> None:
    if report.moved:
        print(f"{report.moved:,} images were stated far from the catalogue's position of their id:", file=sys.stderr)
        print(
            "\n".join(f"  {one}: {apart:.1f} arcsec; is the id right?" for one, apart in report.farthest),
            file=sys.stderr,
        )
        print(
            f"{report.misplaced:,} stamps of these are kept out of training and scoring (quality misplaced): they show "
            "another object; give each image under its right id.",
            file=sys.stderr,
        )
    if report.rejected:
        print(f"{report.rejected:,} row{'s' if report.rejected > 1 else ''} could not be used:", file=sys.stderr)
        print("\n".join(f"  {rejection}" for rejection in report.rejections), file=sys.stderr)
        tell_more(report.rejected, "SELECT * FROM rejections")


def _tell_tiles(report: "TileReport") -> None:
    cut = report.added + len(report.flagged_objects)
    print(f"{cut} stamps cut out of {report.tiles} tiles; {report.unchanged} objects there had one already.")
    if not cut:
        print("There is nothing to do.")
    if report.whole_cubes:
        names = ", ".join(report.whole_cubes[:10]) + (" ..." if len(report.whole_cubes) > 10 else "")
        print(f"{len(report.whole_cubes)} cubes show no catalogued object and are one each, named by file: {names}.")
    if report.replaced:
        print(f"{report.replaced} of them take the place of stamps that were masked or truncated.")
    if report.without_radius:
        print(f"{report.without_radius} objects have no radius in the catalogue and got the default width.")
    if report.outside:
        print(f"{report.outside} objects without a stamp lie on none of these tiles.")
    if report.flagged:
        counts = ", ".join(f"{n} {flag}" for flag, n in sorted(report.flagged.items()))
        print(
            f"{len(report.flagged_objects)} stamps are kept out of training and scoring for their quality ({counts}):"
        )
        print("\n".join(f"  {line}" for line in report.flagged_objects[:20]))
        tell_more(len(report.flagged_objects), "SELECT object_id, quality, reason FROM stamps WHERE quality <> 'ok'")
    _tell_refused(report)


def _tell_refused(report: "TileReport") -> None:
    if report.refused:
        print(f"{len(report.refused)} tiles or files could not be used:", file=sys.stderr)
        print("\n".join(f"  {one.file}: {one.reason}" for one in report.refused[:20]), file=sys.stderr)
        tell_more(len(report.refused), "SELECT file, reason FROM rejections")
    tell_rejections(report.rejections)


def _tell_ingest(report: "IngestReport") -> None:
    print(f"{report.added} objects added, {report.unchanged} were there already.")
    if report.flagged:
        counts = ", ".join(f"{n} {flag}" for flag, n in sorted(report.flagged.items()))
        print(f"{len(report.flagged_files)} more are kept out of training and scoring for their quality ({counts}):")
        print("\n".join(f"  {line}" for line in report.flagged_files[:20]))
        tell_more(len(report.flagged_files), "SELECT object_id, quality, reason FROM stamps WHERE quality <> 'ok'")
    tell_rejections(report.rejections)
