"""The verbs that ask of the whole catalogue or keep it in shape: status, count, compact."""

import sys
from typing import Annotated

import typer

from catbuilder.cli.options import FormatOption, WorkspaceOption, open_workspace


def status(
    count: Annotated[bool, typer.Option("--count", help="Count anew, also what takes a minute.")] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """What is in the workspace, and where its rounds stand."""
    from catbuilder.catalogue.status import status
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show

    with Reporter().bar("counting") as update:
        found = status(open_workspace(workspace), count=count, progress=update)
    show(found.objects, format)
    if found.recordings_since is None:
        print("Only the objects are counted yet; count the rest, in a minute or two, with: catbuilder status --count",
              file=sys.stderr)  # fmt: skip
    elif found.recordings_since:
        print(f"Counted {found.recordings_since} recordings ago; count anew with: catbuilder status --count",
              file=sys.stderr)  # fmt: skip
    if format == "table":
        if found.rounds.num_rows:
            print()
            show(found.rounds)
        _tell_next(found.objects.num_rows, found.rounds.to_pylist())


def count(
    by: Annotated[str, typer.Option(help="Columns of `catalog`, separated by commas.")] = "survey,source,label",
    at: Annotated[int | None, typer.Option("--at", help="As of the end of this round.")] = None,
    where: Annotated[str | None, typer.Option(help="SQL condition on the columns of the catalogue.")] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Count objects by columns of the catalogue, in bounded memory whatever their number."""
    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.inspection.counts import count_objects

    names = [name.strip() for name in by.split(",") if name.strip()]
    with Reporter().bar("counting") as update:
        found = count_objects(open_workspace(workspace), names, at=at, where=where, progress=update)
    show(found, format)


def compact(
    keep: Annotated[int, typer.Option(min=1, help="Newest models whose scores stay in the catalogue.")] = 3,
    workspace: WorkspaceOption = None,
) -> None:
    """Move scores of older rounds into Parquet files beside the catalogue; queries still see them."""
    from catbuilder.catalogue.compact import compact
    from catbuilder.core.progress import Reporter

    report = compact(open_workspace(workspace), keep, Reporter())
    if not report.models:
        print(f"Nothing to move: there are scores of no more than {keep} models in the catalogue.")
        return
    print(
        f"{report.scores:,} scores of {len(report.models)} models moved to scores/ ({report.bytes / 1e6:,.0f} MB); "
        f"the catalogue has {report.freed / 1e6:,.0f} MB inside for what comes next."
    )


def _tell_next(objects: int, rounds: list[dict[str, object]]) -> None:
    if not objects:
        print("Nothing is in yet. Next: catbuilder ingest images DIR --table T.csv --survey sdss")
    elif not rounds:
        print("\nNo round has been run yet. Next: catbuilder round")
    elif rounds[-1]["step"] != "closed":
        print(f"\nRound {rounds[-1]['round']} is {rounds[-1]['step']}, not closed; catbuilder round goes on with it.")
