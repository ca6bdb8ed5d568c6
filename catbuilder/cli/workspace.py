"""The verbs `backup` and `restore`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from catbuilder.cli.options import WorkspaceOption, open_workspace


def backup(
    dest: Annotated[Path, typer.Argument(help="Folder of the backup, on another disk; made if it is not there.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Copy catalogue, stamps, models and releases, each with its hash; a round may go on meanwhile."""
    from catbuilder.catalogue.backup import backup
    from catbuilder.core.progress import Reporter

    with Reporter().bar("backing up") as update:
        report = backup(open_workspace(workspace), dest, update)
    print(
        f"Backed up to {dest} as of recording {report.recording}: {report.copied} files copied "
        f"({report.copied_bytes / 1e6:.1f} MB), {report.unchanged} there already."
    )
    if report.damaged:
        more = f" and {len(report.damaged) - 3} more" if len(report.damaged) > 3 else ""
        print(
            f"Error: damaged and not copied: {', '.join(report.damaged[:3])}{more}; see catbuilder check --deep",
            file=sys.stderr,
        )
        raise typer.Exit(1)


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="Folder that `backup` has made.")],
    place: Annotated[Path, typer.Argument(metavar="WORKSPACE", help="Folder to make, or the damaged workspace.")],
) -> None:
    """Make a workspace of a backup, or put back what is damaged in one."""
    from catbuilder.catalogue.backup import restore
    from catbuilder.core.progress import Reporter

    with Reporter().bar("restoring") as update:
        said = restore(source, place, update)
    print("\n".join(said))
