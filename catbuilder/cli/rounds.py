"""The verbs of `catbuilder experiment`: runs over many seeds, each in a copy of the workspace."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from catbuilder.cli.options import ChangesOption, FormatOption, WorkspaceOption, open_workspace

if TYPE_CHECKING:
    from catbuilder.rounds.experiment import RecursionReport

experiment_app = typer.Typer(
    help="Run what a paper would report, over many seeds.", no_args_is_help=True, rich_markup_mode=None
)


@experiment_app.callback()
def _group() -> None:
    # With a single verb and no callback, typer would drop the verb's name.
    pass


@experiment_app.command("recursion", epilog="Example: catbuilder experiment recursion --seeds 10 --recipe real")
def recursion(
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds; those that are done are not run again.")] = 10,
    rounds: Annotated[int, typer.Option(min=2, help="Rounds of each; the last is compared with the first.")] = 2,
    recipe: Annotated[str | None, typer.Option(help="A shipped recipe's name, or a TOML file.")] = None,
    ranks: Annotated[int, typer.Option("--np", min=1, help="Processes that train together; at most 4 a core.")] = 1,
    changes: ChangesOption = None,
    first_seed: Annotated[int, typer.Option(min=0, help="The first of the seeds.")] = 0,
    grey: Annotated[
        bool, typer.Option("--grey", help="Do the same on grey images, and tell what colour gains.")
    ] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Does training on promoted labels help? Accuracy before and after, over seeds."""
    from catbuilder.core.recipe import load_round_recipe
    from catbuilder.rounds.experiment import compare_with_grey, grey_version, run_recursion

    opened = open_workspace(workspace)
    chosen = load_round_recipe(recipe or opened.config.recipe, changes or ())
    numbers = range(first_seed, first_seed + seeds)
    if grey:
        grey_version(chosen)  # a recipe that has none is refused now and not after hours in colour
    report = run_recursion(opened, numbers, rounds, recipe=chosen, ranks=ranks)
    if not grey or format == "table":  # a program wants one table
        _tell(report, format)
    if grey:
        _tell(compare_with_grey(opened, numbers, rounds, recipe=chosen, ranks=ranks), format)


def _tell(report: "RecursionReport", format: str) -> None:
    from catbuilder.core.table_text import show

    show(report.summary, format)
    beside = sys.stdout if format == "table" else sys.stderr
    print("\n".join(report.sentences()), file=beside)
    print(
        f"All coverages: {report.folder / report.name}.csv, drawn in {report.name}.png; the seeds: "
        f"{report.seeds_file.relative_to(report.folder)}",
        file=beside,
    )
