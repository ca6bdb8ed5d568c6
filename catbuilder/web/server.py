"""Run the web server: one process on the loopback address, with a new key for every run."""

import errno
import socket
import webbrowser
from collections.abc import Callable

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ServeError

ADDRESS = "127.0.0.1"


def serve(workspace: Workspace, port: int = 8765, browser: bool = True, tell: Callable[[str], None] = print) -> None:
    """Serve the web pages of a workspace on this machine until Ctrl-C.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    port : int
        Port to listen on; default 8765. 0 picks a free one.
    browser : bool
        Open the page in a browser; default True.
    tell : callable
        Called with the address and its key, once the server listens; by default `print`.

    Raises
    ------
    ServeError
        The port is in use, or may not be used.

    Examples
    --------
    >>> catbuilder.serve(workspace, port=0, browser=False)
    """
    with _listening(port) as listener:
        import uvicorn

        from catbuilder.web.app import create_app
        from catbuilder.web.downloads import remove_leftovers
        from catbuilder.web.guard import Session

        remove_leftovers(workspace)
        port = listener.getsockname()[1]
        session = Session(port)
        config = uvicorn.Config(create_app(workspace, session), http="h11", ws="none", lifespan="off",
                                log_level="warning", access_log=False, server_header=False)  # fmt: skip
        address = f"http://{ADDRESS}:{port}/?token="
        tell(address + session.token)
        if browser:
            webbrowser.open(address + session.one_time_token())
        uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    # with the protocol named asyncio switches Nagle's algorithm off, which costs 40 ms per response
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(
        socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
    )  # else the port stays blocked for a while after a server has ended
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        why = (
            "is in use by another process" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        )
        raise ServeError(
            f"port {port} of {ADDRESS} {why}; name another with --port, or --port 0 for one that is free"
        ) from None
    return listener
