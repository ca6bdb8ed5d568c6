"""The verbs of the web page: serve, and how well those agree who label there."""

import sys
from typing import Annotated

import typer

from catbuilder.cli.options import WorkspaceOption, open_workspace


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free one.")] = 8765,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Browse, review and watch the catalogue in your browser."""
    from catbuilder.web.server import serve

    def tell(address: str) -> None:
        print(f"Serving {opened.path} at\n\n    {address}\n", flush=True)
        print("It holds the key to the page: give it to nobody. Stop with Ctrl-C.", flush=True)

    opened = open_workspace(workspace)
    try:
        serve(opened, port, browser=not no_browser, tell=tell)
    except KeyboardInterrupt:  # how a server is stopped
        print("Stopped.", file=sys.stderr)
