"""Verbs of `catbuilder ingest`: images, gz1, sdss, des and tiles."""

from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.empty_values import Verb
from catbuilder.cli.options import ClusterOption, StrictOption, WorkspaceOption, open_workspace, print_ingest

CatalogueFile = Annotated[
    Path,
    typer.Argument(help="CSV, FITS or VOTable (also .gz, .bz2, .xz), or Parquet (also a folder or glob)."),
]
KeepOption = Annotated[
    str, typer.Option(help="Other columns of the file to keep, with their units, separated by commas.")
]
TableOption = Annotated[
    str | None,
    typer.Option(
        "--table",
        metavar="NAME",
        help="Name or number of the table in a FITS file or VOTable with several; by default the one with the columns.",
    ),
]
UpdateOption = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Replace values that differ from the file's; an earlier round (`--at`) still shows the old ones.",
    ),
]

ingest_app = typer.Typer(help="Ingest images and tables.", no_args_is_help=True, rich_markup_mode=None)


@ingest_app.command(
    "images", cls=Verb, epilog="Example: catbuilder ingest images cutouts --table cutouts/labels.csv --survey sdss"
)
def ingest_images(
    folder: Annotated[Path, typer.Argument(help="Folder of JPEG or PNG images.")],
    table: Annotated[
        Path,
        typer.Option(help="CSV with object_id, file; optional ra, dec, label, split, mag_g, mag_r, mag_i ..."),
    ],
    survey: Annotated[str, typer.Option(help="Survey that made the images: sdss, des ...")],
    split: Annotated[
        str | None, typer.Option(help="Split of rows that state none: train, validation, calibration, pool or none.")
    ] = None,
    source: Annotated[str, typer.Option(help="Origin of the labels: human, galaxy_zoo or imported.")] = "imported",
    rendering: Annotated[str | None, typer.Option(help="Name of the way in which these images were made.")] = None,
    arcsec_per_pixel: Annotated[float | None, typer.Option(help="Pixel scale of the images, arcsec.")] = None,
    strict: StrictOption = False,
    cluster: ClusterOption = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Ingest a folder of images and the table that names them."""
    from catbuilder.core.progress import Reporter
    from catbuilder.ingest.images import ingest_images

    reporter = Reporter()
    with reporter.bar("reading images") as update:
        report = ingest_images(
            open_workspace(workspace), folder, table, survey=survey, split=split, source=source, rendering=rendering,
            arcsec_per_pixel=arcsec_per_pixel, strict=strict, cluster=cluster, progress=update, reporter=reporter,
        )  # fmt: skip
    print_ingest(report)


@ingest_app.command("gz1", cls=Verb, epilog="Example: catbuilder ingest gz1 GalaxyZoo1_DR_table2.csv.gz")
def ingest_gz1(
    file: CatalogueFile,
    survey: Annotated[str, typer.Option(help="Survey whose ids these are.")] = "sdss",
    keep: KeepOption = "",
    update: UpdateOption = False,
    table: TableOption = None,
    strict: StrictOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Ingest the votes of Galaxy Zoo 1, Table 2."""
    _ingest_survey("gz1", file, survey, keep, update, table, strict, workspace)


@ingest_app.command("sdss", cls=Verb, epilog="Example: catbuilder ingest sdss photoobj.csv.gz --keep extinction_r")
def ingest_sdss(
    file: CatalogueFile,
    survey: Annotated[
        str, typer.Option(help="Survey whose ids these are; its release is in catbuilder.toml.")
    ] = "sdss",
    keep: KeepOption = "",
    update: UpdateOption = False,
    table: TableOption = None,
    strict: StrictOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Ingest rows of SDSS PhotoObj: objid, ra, dec, u, g, r, i, z, petroRad_r, run ..."""
    _ingest_survey("sdss", file, survey, keep, update, table, strict, workspace)


@ingest_app.command(
    "des", cls=Verb, epilog="Example: catbuilder ingest des des_dr1_main.fits --keep ebv_sfd98,class_star_i"
)
def ingest_des(
    file: CatalogueFile,
    survey: Annotated[str, typer.Option(help="Survey whose ids these are; its release is in catbuilder.toml.")] = "des",
    keep: KeepOption = "",
    update: UpdateOption = False,
    table: TableOption = None,
    strict: StrictOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Ingest rows of the DES main table, as DESaccess gives them."""
    _ingest_survey("des", file, survey, keep, update, table, strict, workspace)


@ingest_app.command("tiles", cls=Verb, epilog="Example: catbuilder ingest tiles coadds --survey des --bands g,r,i")
def ingest_tiles(
    survey: Annotated[str, typer.Option(help="Survey whose catalogued objects are cut out: des ...")],
    tiles: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders of FITS tiles (with their subfolders), or files: one per band, or cubes of bands."
        ),
    ] = None,
    listed: Annotated[
        Path | None, typer.Option("--list", help="Text file with a path or URL of a tile's file on each line.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option(help="Three of g,r,i,z; by default g,r,i, or g,r,z for a cube without i.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Width of a stamp in radii of its object, or 'paper'; by default as in catbuilder.toml."),
    ] = None,
    objects: Annotated[
        Path | None, typer.Option(help="CSV with object_id, ra, dec and optional radius_arcsec: cut only these.")
    ] = None,
    strict: StrictOption = False,
    cluster: ClusterOption = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Cut colour stamps of a survey's objects from its coadd tiles."""
    from catbuilder.core.progress import Reporter
    from catbuilder.ingest.tiles.ingest_tiles import ingest_tiles

    reporter = Reporter()
    with reporter.bar("cutting stamps") as update:
        report = ingest_tiles(
            open_workspace(workspace), tiles or (), survey=survey, listed=listed, bands=bands, size=size,
            objects=objects, strict=strict, cluster=cluster, progress=update, reporter=reporter,
        )  # fmt: skip
    print_ingest(report)


def _ingest_survey(
    kind: str, file: Path, survey: str, keep: str, update: bool, table: str | None, strict: bool, workspace: Path | None
) -> None:
    from catbuilder.core.progress import Reporter
    from catbuilder.ingest.tables.survey_catalogue import ingest_survey

    names = [name.strip() for name in keep.split(",") if name.strip()]
    with Reporter().bar(f"reading {file.name}") as progress:
        report = ingest_survey(
            open_workspace(workspace), file, kind, survey=survey, keep=names, update=update, table=table, strict=strict,
            progress=progress,
        )  # fmt: skip
    print_ingest(report)
