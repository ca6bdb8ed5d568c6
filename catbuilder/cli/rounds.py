"""The verbs that run rounds: round, score, rollback, and experiment recursion for many seeds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from catbuilder.cli.empty_values import Verb
from catbuilder.cli.options import ChangesOption, ClusterOption, FormatOption, WorkspaceOption, open_workspace
from catbuilder.cli.results import show_metrics

if TYPE_CHECKING:
    from catbuilder.rounds.experiment_report import RecursionReport
    from catbuilder.rounds.run import RoundOutcome

RanksOption = Annotated[int, typer.Option("--np", min=1, help="Number of training processes; at most 4 per core.")]

experiment_app = typer.Typer(
    help="Measure the effect of a recipe over many seeds.", no_args_is_help=True, rich_markup_mode=None
)


@experiment_app.callback()
def _group() -> None:
    # With a single verb and no callback, typer would drop the verb's name.
    pass


def run_round(
    n: Annotated[int, typer.Option("--n", min=1, help="Number of rounds.")] = 1,
    recipe: Annotated[
        str | None, typer.Option(help="Name of a shipped recipe, or a TOML file (default: that of the workspace).")
    ] = None,
    ranks: RanksOption = 1,
    cluster: ClusterOption = "",
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of all random streams.")] = 0,
    changes: ChangesOption = None,
    replan: Annotated[
        bool, typer.Option("--replan", help="Continue an unfinished round with a new --np and these machines' threads.")
    ] = False,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Only close the unfinished round, and promote nothing.")
    ] = False,
    hosts: Annotated[str | None, typer.Option(help="Gone: see --cluster.", hidden=True)] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Run rounds: train, score, promote and measure.

    An unfinished round is completed first.
    """
    from catbuilder.core.errors import InputError
    from catbuilder.core.progress import Reporter
    from catbuilder.core.recipe import load_round_recipe
    from catbuilder.rounds.run import abandon_round, run_rounds

    if hosts is not None:
        raise InputError(
            "--hosts is gone: start Ray on the machines (see docs/clusters.md), and give --np and --cluster auto"
        )
    opened = open_workspace(workspace)
    if abandon:
        print("\n".join(abandon_round(opened).sentences()))
        return
    chosen = load_round_recipe(recipe or opened.config.recipe, changes or ())

    def tell(outcome: "RoundOutcome") -> None:
        show_metrics(opened, [outcome.round], "table")

    run_rounds(
        opened, n, chosen, ranks=ranks, cluster=cluster, replan=replan, seed=seed, reporter=Reporter(), after_each=tell
    )


def score(
    number: Annotated[
        int | None, typer.Option("--round", help="Use the model of this round (default: the latest).")
    ] = None,
    cluster: ClusterOption = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Score objects that a finished model has not seen yet."""
    from catbuilder.core.progress import Reporter
    from catbuilder.rounds.scoring import score

    print("\n".join(score(open_workspace(workspace), number, cluster=cluster, reporter=Reporter()).sentences()))


def rollback(
    to: Annotated[
        int, typer.Option("--to", min=0, help="Restore the promotions as they were after this round; 0 removes all.")
    ],
    workspace: WorkspaceOption = None,
) -> None:
    """Retract the promotions of later rounds; nothing is deleted."""
    from catbuilder.rounds.rollback import rollback

    print("\n".join(rollback(open_workspace(workspace), to).sentences()))


@experiment_app.command(
    "recursion",
    cls=Verb,
    epilog="Example: catbuilder experiment recursion --seeds 10 --rounds 3 --recipe real --arms real:members=3 "
    "--workspaces ../sky-2",
)
def recursion(
    seeds: Annotated[
        int, typer.Option(min=1, max=10_000, help="Number of seeds; finished ones are not run again.")
    ] = 10,
    rounds: Annotated[int, typer.Option(min=2, help="Rounds per seed; arm and control are compared after them.")] = 2,
    recipe: Annotated[
        str | None, typer.Option(help="Name of a shipped recipe, or a TOML file (default: that of the workspace).")
    ] = None,
    arms: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RECIPE[:KEY=VALUE,...]",
            help="Compare a further recipe with the same control: a name or a TOML file, with changes if any; can be "
            "repeated.",
        ),
    ] = None,
    workspaces: Annotated[
        list[Path] | None,
        typer.Option(metavar="<path>", help="Run all arms in a further workspace too; can be repeated."),
    ] = None,
    ranks: RanksOption = 1,
    cluster: ClusterOption = "",
    changes: ChangesOption = None,
    first_seed: Annotated[int, typer.Option(min=0, max=2**62, help="First seed.")] = 0,
    grey: Annotated[
        bool, typer.Option("--grey", help="Repeat it on grey images, and report what colour adds.")
    ] = False,
    workspace: WorkspaceOption = None,
    format: FormatOption = "table",
) -> None:
    """Measure what promotion and teaching gain over a control, over many seeds.

    The control is the same training without promotion. Arm and control of each seed are compared after the last round.
    """
    from catbuilder.core.progress import Reporter
    from catbuilder.core.recipe import load_round_recipe
    from catbuilder.rounds.arms import grey_version
    from catbuilder.rounds.experiment import compare_with_grey, run_recursion

    opened = open_workspace(workspace)
    chosen = load_round_recipe(recipe or opened.config.recipe, changes or ())
    numbers = range(first_seed, first_seed + seeds)
    if grey:
        grey_version(chosen)  # a recipe without a grey version is refused now, not after hours of training in colour
    others, reporter = workspaces or (), Reporter()
    report = run_recursion(
        opened, numbers, rounds, recipe=chosen, arms=arms or (), workspaces=others, ranks=ranks, cluster=cluster,
        reporter=reporter,
    )  # fmt: skip
    if not grey or format == "table":  # a program wants one table
        _tell(report, format)
    if grey:
        compared = compare_with_grey(
            opened, numbers, rounds, recipe=chosen, workspaces=others, ranks=ranks, cluster=cluster, reporter=reporter
        )
        _tell(compared, format)


def _tell(report: "RecursionReport", format: str) -> None:
    from catbuilder.core.table_text import show

    show(report.summary, format)
    beside = sys.stdout if format == "table" else sys.stderr
    print("\n".join(report.sentences()), file=beside)
    print(
        f"All coverages: {report.folder / report.name}.csv, plotted in {report.name}.png; each run: "
        f"{report.runs_file.name}",
        file=beside,
    )
