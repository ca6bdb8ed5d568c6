"""The verbs that make and keep a workspace: init, simulate, backup, restore and compact."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.options import ClusterOption, WorkspaceOption, open_workspace
from catbuilder.core.safe_text import counted


def init(
    workspace: Annotated[Path, typer.Argument(help="New folder.")],
    classes: Annotated[
        str | None, typer.Option(help="Names of the classes, separated by commas (default: elliptical,spiral).")
    ] = None,
    stamp_size: Annotated[int | None, typer.Option(help="Width of the stored stamps, px (default: 64).")] = None,
    recipe: Annotated[str | None, typer.Option(help="Default recipe of `round` (default: paper).")] = None,
) -> None:
    """Create a new, empty workspace.

    A catbuilder.toml that is already in the folder is kept and used.
    """
    from catbuilder.catalogue.new_workspace import create_workspace

    names = None if classes is None else [name.strip() for name in classes.split(",")]
    made = create_workspace(workspace, names, stamp_size, recipe)
    survey = next(iter(made.config.surveys), "SURVEY")
    print(
        f"Made the workspace {made.path} for {', '.join(made.config.classes)}. Next: catbuilder -w {workspace} "
        f"ingest images DIR --table T.csv --survey {survey}"
    )


def simulate(
    workspace: Annotated[Path, typer.Argument(help="New folder.")],
    objects: Annotated[
        int | None,
        typer.Option("--objects", min=200, max=10_000_000, help="Number of galaxies, divided among the sets."),
    ] = None,
    calibration: Annotated[
        int | None,
        typer.Option(
            "--calibration",
            min=0,
            max=10_000_000,
            help="Number of DES galaxies for calibration (default: a fixed share).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Random seed of the simulation.")] = 0,
    stamp_size: Annotated[int, typer.Option(help="Width of the stored stamps, px.")] = 64,
    cluster: ClusterOption = "",
) -> None:
    """Create a simulated survey whose true classes are known.

    SDSS and DES images of the same galaxies are simulated, and ingested like real ones. So are the votes of volunteers,
    which label the training galaxies: a few of these labels are wrong.
    """
    from dataclasses import replace

    from catbuilder.core.progress import Reporter
    from catbuilder.simulation.galaxies import SurveyPlan
    from catbuilder.simulation.survey import simulate

    plan = SurveyPlan() if objects is None else SurveyPlan.scaled_to(objects)
    if calibration is not None:
        plan = replace(plan, calibration=calibration)
    report = simulate(workspace, plan, seed=seed, stamp_size=stamp_size, cluster=cluster, reporter=Reporter())
    print("\n".join(report.sentences()))
    print(f"Next: catbuilder -w {workspace} round --n 3 --recipe demo")


def backup(
    dest: Annotated[Path, typer.Argument(help="Folder of the backup, best on another disk; it is made if missing.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Back up the workspace, with a hash of each file.

    Catalogue, stamps, models and releases are copied. A round may run at the same time.
    """
    from catbuilder.catalogue.backup import backup
    from catbuilder.core.progress import Reporter

    with Reporter().bar("backing up") as update:
        report = backup(open_workspace(workspace), dest, progress=update)
    print(
        f"Backed up to {dest} as of recording {report.recording}: {counted(report.copied, 'file')} copied "
        f"({report.copied_bytes / 1e6:.1f} MB), {report.unchanged} unchanged."
    )
    if report.damaged:
        more = f" and {len(report.damaged) - 3} more" if len(report.damaged) > 3 else ""
        print(
            f"Error: damaged and not copied: {', '.join(report.damaged[:3])}{more}; see catbuilder check --deep",
            file=sys.stderr,
        )
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="Folder that a backup was written to.")],
    place: Annotated[Path, typer.Argument(metavar="WORKSPACE", help="New folder, or the damaged workspace.")],
) -> None:
    """Restore a workspace, or its damaged files, from a backup."""
    from catbuilder.catalogue.backup import restore
    from catbuilder.core.progress import Reporter

    with Reporter().bar("restoring") as update:
        said = restore(source, place, progress=update)
    print("\n".join(said))


def compact(
    keep: Annotated[int, typer.Option(min=1, help="Number of newest models whose scores stay in the catalogue.")] = 3,
    workspace: WorkspaceOption = None,
) -> None:
    """Move the scores of older rounds into Parquet files.

    The files lie beside the catalogue, and queries still find the scores.
    """
    from catbuilder.catalogue.compact import compact
    from catbuilder.core.progress import Reporter

    report = compact(open_workspace(workspace), keep, reporter=Reporter())
    if not report.models:
        print(f"Nothing to move: the catalogue has scores of no more than {counted(keep, 'model')}.")
        return
    print(
        f"{counted(report.scores, 'score')} of {counted(len(report.models), 'model')} moved to scores/ "
        f"({report.bytes / 1e6:,.0f} MB); {report.freed / 1e6:,.0f} MB inside the catalogue file are free for reuse."
    )
