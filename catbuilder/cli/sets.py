"""The verbs that build the sets of a round: crossmatch, assemble and testset."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.options import FormatOption, StrictListOption, WorkspaceOption, open_workspace, tell_rejections


def crossmatch(
    radius: Annotated[float, typer.Option(help="Largest separation of a pair, arcsec; at most 60.")] = 1.0,
    surveys: Annotated[
        str | None, typer.Option(help="Surveys to match, separated by commas (default: all with positions).")
    ] = None,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Match the galaxies of surveys by position."""
    from dataclasses import asdict

    import pyarrow as pa

    from catbuilder.core.progress import Reporter
    from catbuilder.core.table_text import show
    from catbuilder.sets.crossmatch import crossmatch

    names = None if surveys is None else [name.strip() for name in surveys.split(",")]
    with Reporter().bar("matching") as update:
        report = crossmatch(open_workspace(workspace), radius, names, progress=update)
    show(pa.Table.from_pylist([asdict(match) for match in report.matches]), format)
    for sentence in report.sentences():
        print(sentence, file=sys.stdout if format == "table" else sys.stderr)


def assemble(
    recipe: Annotated[
        str | None, typer.Option(help="Name of a shipped recipe, or a TOML file; its [sets] are used.")
    ] = None,
    hp: Annotated[
        Path | None,
        typer.Option(help="CSV of the pairs of HP, with sdss_objid, des_coadd_object_id (default: by rule)."),
    ] = None,
    fo: Annotated[
        Path | None, typer.Option(help="CSV of the pairs of FO, with the same columns (default: by rule).")
    ] = None,
    strict: StrictListOption = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Build the sets of the first round from the catalogues.

    The sets are training, validation, HP, FO, calibration and pool; the recipe has the rules.
    """
    import pyarrow as pa

    from catbuilder.core.table_text import show
    from catbuilder.sets.assemble import PAPER_COUNTS, assemble

    opened = open_workspace(workspace)
    report = assemble(opened, recipe, hp=hp, fo=fo, strict=strict)
    paper = [PAPER_COUNTS.get((row["part"], row["survey"], row["class"])) for row in report.counts.to_pylist()]
    show(report.counts.append_column("paper", pa.array(paper, pa.int64())), format)
    print("\n".join(report.sentences()), file=sys.stdout if format == "table" else sys.stderr)


def testset(
    name: Annotated[str, typer.Argument(help="Name of the test set: HP, FO, or another.")],
    survey: Annotated[str, typer.Option(help="Survey of the objects: sdss, des ...")],
    table: Annotated[Path, typer.Option(help="CSV with object_id and label, the true class (or empty: unknown).")],
    no_truth: Annotated[
        bool, typer.Option("--no-truth", help="Allow a set without true classes: it is scored, but never measured.")
    ] = False,
    strict: StrictListOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Declare a fixed test set. It cannot be changed afterwards."""
    from catbuilder.sets.testsets import add_test_set

    report = add_test_set(open_workspace(workspace), name, table, survey=survey, without_truth=no_truth, strict=strict)
    print("\n".join(report.sentences()))
    tell_rejections(report.rejections)
