"""The verbs that see to missing images: `fetch` downloads them, `cutouts` lists them for the DES cut-out service."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from catbuilder.cli.options import WorkspaceOption, open_workspace, tell_rejections

if TYPE_CHECKING:
    from catbuilder.ingest.fetch.fetch import FetchReport


def fetch(
    survey: Annotated[str, typer.Option(help="Survey of the objects: sdss, des ...")],
    service: Annotated[
        str | None,
        typer.Option(help="sdss, des, decals, or a URL with {ra}, {dec}, {size}; by default the survey's own."),
    ] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition on the columns of the catalogue.")] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="At most so many.")] = None,
    size: Annotated[
        float | None, typer.Option(min=1.0, help="Width of every image, arcsec; by default as its radius wants.")
    ] = None,
    scale: Annotated[float | None, typer.Option(min=0.01, help="Arcsec a pixel; by default the service's own.")] = None,
    rate: Annotated[float, typer.Option(min=0.01, max=20.0, help="Requests a second, at most.")] = 2.0,
    workspace: WorkspaceOption = None,
) -> None:
    """Download missing images by position, and ingest them."""
    from catbuilder.core.progress import Reporter
    from catbuilder.ingest.fetch.cutout_services import find_service
    from catbuilder.ingest.fetch.fetch import fetch
    from catbuilder.ingest.fetch.polite_client import RatePolicy

    opened, chosen = open_workspace(workspace), find_service(service or survey, scale)
    with Reporter().bar("fetching images") as update:
        report = fetch(
            opened, survey, chosen, where=where, n=n, width_arcsec=size, manners=RatePolicy(rate_per_s=rate),
            progress=update,
        )  # fmt: skip
    _tell_fetch(report)


def cutouts(
    file: Annotated[Path, typer.Option("--list", help="CSV to write: the table of a DESaccess cut-out job.")],
    survey: Annotated[str, typer.Option(help="Survey of the objects.")] = "des",
    where: Annotated[str | None, typer.Option(help="SQL condition on the columns of the catalogue.")] = None,
    size: Annotated[
        float | None,
        # DESaccess cuts no more than 12 arcmin
        typer.Option(min=1.0, max=720.0, help="Width of every cut-out, arcsec; by default as its radius wants."),
    ] = None,
    by: Annotated[Literal["both", "id", "position"], typer.Option(help="What names the object in a row.")] = "both",
    workspace: WorkspaceOption = None,
) -> None:
    """List objects without an image for the DES cut-out service."""
    from catbuilder.ingest.fetch.missing_images import write_cutout_list

    job = write_cutout_list(open_workspace(workspace), file, survey=survey, where=where, width_arcsec=size, by=by)
    if job.left_out:
        print(
            f"Left out: {job.left_out} with a name where the service wants a number; list them with --by position.",
            file=sys.stderr,
        )
    if not job.listed:
        if job.left_out:
            raise typer.Exit(1)
        print(f"Nothing to list: every {survey} object that has a position and meets the condition has an image.")
        return
    print(f"{job.listed} objects without an image listed in {file}.")
    if by == "both":
        print("Should the service refuse rows with both an id and a position, write the list with --by id.")
    print(
        "Next: submit it to the cut-out service of DESaccess (the rows of a job are limited: see --where), "
        "then: catbuilder ingest tiles DIR, or catbuilder ingest images DIR"
    )


def _tell_fetch(report: "FetchReport") -> None:
    if not report.wanted:
        print("Nothing to fetch: every object that has a position and meets the condition has an image.")
        return
    print(f"{report.added} of {report.wanted} images fetched and brought in.")
    if report.flagged:
        counts = ", ".join(f"{n} {flag}" for flag, n in sorted(report.flagged.items()))
        print(f"{report.flagged_objects} more are kept out of training and scoring for their quality ({counts}).")
    tell_rejections(tuple(report.rejections))
    if report.failures:
        print(f"{len(report.failures)} could not be had; the same command asks for them again:", file=sys.stderr)
        lines = [f"  {failure.object_id}: {failure.reason}" for failure in report.failures]
        print("\n".join(lines[:20]), file=sys.stderr)
        if len(lines) > 20:
            print(f"  ... and {len(lines) - 20} more; they are all in {report.failures_file}", file=sys.stderr)
    if report.given_up and report.unasked:
        print(f"Stopped with {report.unasked} not asked for: {report.given_up}. Try later.", file=sys.stderr)
    if report.unasked or not (report.added or report.flagged_objects):
        raise typer.Exit(1)
