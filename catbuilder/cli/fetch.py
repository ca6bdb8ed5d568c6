"""Verbs for missing images: `fetch` downloads them, `cutouts` lists them for the DES cut-out service."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from catbuilder.cli.options import FILE, ClusterOption, WorkspaceOption, open_workspace, print_report


def fetch(
    survey: Annotated[str, typer.Option(help="Survey of the objects: sdss, des ...")],
    service: Annotated[
        str | None,
        typer.Option(help="sdss, des, decals, or a URL with {ra}, {dec}, {size}; by default the survey's own."),
    ] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition on the columns of the catalogue.")] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, max=2**63 - 1, help="The most images to fetch.")] = None,
    size: Annotated[
        float | None,
        typer.Option(min=1.0, max=3600.0, help="Width of every image, arcsec; by default from the object's radius."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(min=0.01, help="Arcsec per pixel; by default the service's own.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, max=20.0, help="The most requests per second.")] = 2.0,
    cluster: ClusterOption = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Download missing images by position, and ingest them."""
    from catbuilder.core.progress import Reporter
    from catbuilder.ingest.fetch.fetch import fetch
    from catbuilder.ingest.fetch.polite_client import RatePolicy

    opened = open_workspace(workspace)
    reporter = Reporter()
    with reporter.bar("fetching images") as update:
        report = fetch(
            opened, survey, service, where=where, n=n, width_arcsec=size, arcsec_per_pixel=scale,
            policy=RatePolicy(rate_per_s=rate), cluster=cluster, progress=update, reporter=reporter,
        )  # fmt: skip
    print_report(report)
    if report.wanted and (report.unasked or not (report.added or report.flagged_objects)):
        raise typer.Exit(1)


def cutouts(
    file: Annotated[Path, typer.Option("--list", **FILE, help="CSV to write: the table of a DESaccess cut-out job.")],
    survey: Annotated[str, typer.Option(help="Survey of the objects.")] = "des",
    where: Annotated[str | None, typer.Option(help="SQL condition on the columns of the catalogue.")] = None,
    size: Annotated[
        float | None,
        # DESaccess cuts no more than 12 arcmin
        typer.Option(min=1.0, max=720.0, help="Width of every cut-out, arcsec; by default from the object's radius."),
    ] = None,
    by: Annotated[
        Literal["both", "id", "position"], typer.Option(help="Identify objects by id, by position or by both.")
    ] = "both",
    workspace: WorkspaceOption = None,
) -> None:
    """List objects without an image for the DES cut-out service."""
    from catbuilder.ingest.fetch.missing_images import write_cutout_list

    job = write_cutout_list(open_workspace(workspace), file, survey=survey, where=where, width_arcsec=size, by=by)
    print_report(job)
    if job.left_out and not job.listed:
        raise typer.Exit(1)
