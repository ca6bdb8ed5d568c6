"""The verb serve: open the catalogue in a web browser."""

import sys
from typing import Annotated

import typer

from catbuilder.cli.options import WorkspaceOption, open_workspace


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 8765,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, but do not open the browser.")
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Browse and label galaxies, and watch rounds, in a browser."""
    from catbuilder.web.server import serve

    def tell(address: str) -> None:
        print(f"Serving {opened.path} at\n\n    {address}\n", flush=True)
        print("The address contains a secret key: do not share it. Stop with Ctrl-C.", flush=True)

    opened = open_workspace(workspace)
    try:
        serve(opened, port, browser=not no_browser, tell=tell)
    except KeyboardInterrupt:  # how a server is stopped
        print("Stopped.", file=sys.stderr)
