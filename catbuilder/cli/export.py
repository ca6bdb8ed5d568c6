"""The verbs that publish the catalogue: export, release and track."""

from typing import Annotated, Literal

import typer

from catbuilder.cli.options import AtOption, FormatOption, WhereOption, WorkspaceOption, open_workspace
from catbuilder.core.safe_text import counted


def export(
    target: Annotated[
        str,
        typer.Argument(help="File to write: OUT.fits, OUT.vot, OUT.parquet or OUT.csv; or DIR.hats, a new folder."),
    ],
    at: AtOption = None,
    where: WhereOption = None,
    fits_plus: Annotated[
        bool, typer.Option("--fits-plus", help="Write FITS-plus: FITS with a VOTable header, as TOPCAT writes.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Write the catalogue as FITS, VOTable, Parquet, HATS or CSV.

    Columns have units, UCDs and descriptions, and the file records its provenance.
    """
    from catbuilder.core.progress import Reporter
    from catbuilder.exports.export import export

    report = export(open_workspace(workspace), target, at=at, where=where, fits_plus=fits_plus, reporter=Reporter())
    print(f"{target}: {' '.join(report.sentences())}")


def release(
    version: Annotated[
        str | None, typer.Argument(help="Name of the new release; without it, list the releases.")
    ] = None,
    at: Annotated[
        int | None, typer.Option("--at", help="Catalogue as of the end of this round (default: the last closed one).")
    ] = None,
    where: WhereOption = None,
    formats: Annotated[
        str | None,
        typer.Option(
            help="File formats, separated by commas: fits, parquet, cds, votable, csv (default: fits,parquet, and cds "
            "up to 1,000,000 objects)."
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only check the files of releases against their checksums.")
    ] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Publish the catalogue of a closed round as a release.

    A release has the files, their documentation and their checksums. It never changes.
    """
    from catbuilder.core.progress import Reporter
    from catbuilder.exports.release import release
    from catbuilder.exports.release_check import list_releases, verify_release, verify_releases

    opened = open_workspace(workspace)
    if verify:
        counts = verify_releases(opened) if version is None else {version: verify_release(opened, version)}
        for name, files in counts.items():
            print(f"Release {name}: all {files} files match their checksums.")
    elif version is None:
        import pyarrow as pa

        from catbuilder.core.table_text import show

        names = ("version", "round", "objects", "created", "where", "doi")
        released = list_releases(opened)
        show(pa.table({name: [one[name] for one in released] for name in names}), format)
    else:
        kinds = None if formats is None else [name.strip() for name in formats.split(",") if name.strip()]
        report = release(opened, version, at=at, where=where, formats=kinds, reporter=Reporter())
        print("\n".join(report.sentences()))


def track(
    to: Annotated[Literal["tensorboard", "mlflow"], typer.Option("--to", help="Tool to write for.")],
    place: Annotated[
        str,
        typer.Option("--dir", help="Folder, or address of an MLflow server (default: tracking/ in the workspace)."),
    ] = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Copy the metrics of rounds to TensorBoard or MLflow."""
    from catbuilder.core.progress import Reporter
    from catbuilder.reports.tracking import mlflow_address, track

    where, written = track(open_workspace(workspace), to, place, reporter=Reporter())
    print(f"{counted(written, 'round')} written; rounds that were there already are unchanged.")
    look = f"mlflow ui --backend-store-uri {mlflow_address(where)}"
    if to == "tensorboard":
        look = f"tensorboard --logdir {where}"
    elif where.startswith("http"):
        look = f"a browser at {where}"
    print(f"View them with: {look}")
