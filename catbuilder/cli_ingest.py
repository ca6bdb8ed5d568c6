"""The verbs of `catbuilder ingest`: each is one call into the library."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catbuilder.terminal import WorkspaceOption, open_workspace, tell_more, tell_rejections

if TYPE_CHECKING:
    from catbuilder.ingest import IngestReport

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
        str | None, typer.Option(help="train, validation, calibration or pool, where the table is silent.")
    ] = None,
    source: Annotated[str, typer.Option(help="Who gave the labels: human, galaxy_zoo or imported.")] = "imported",
    rendering: Annotated[str | None, typer.Option(help="Name of the way these images were made.")] = None,
    arcsec_per_pixel: Annotated[float | None, typer.Option(help="Pixel scale of the images.")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Bring in a folder of images and the table that names them."""
    from catbuilder.ingest import ingest_images
    from catbuilder.progress import Reporter

    with Reporter().bar("reading images") as update:
        report = ingest_images(
            open_workspace(workspace), folder, table, survey=survey, split=split, source=source, rendering=rendering,
            arcsec_per_pixel=arcsec_per_pixel, progress=update,
        )  # fmt: skip
    _tell_ingest(report)


def _tell_ingest(report: "IngestReport") -> None:
    print(f"{report.added} objects added, {report.unchanged} were there already.")
    if report.flagged:
        counts = ", ".join(f"{n} {flag}" for flag, n in sorted(report.flagged.items()))
        print(f"{len(report.flagged_files)} more are kept out of training and scoring for their quality ({counts}):")
        print("\n".join(f"  {line}" for line in report.flagged_files[:20]))
        tell_more(len(report.flagged_files), "SELECT object_id, quality, reason FROM stamps WHERE quality <> 'ok'")
    tell_rejections(report.rejections)
