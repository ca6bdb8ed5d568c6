"""The server: one process, on the loopback address alone, with a key of its own for every run."""

import errno
import socket
import webbrowser
from collections.abc import Callable

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ServeError

ADDRESS = "127.0.0.1"


def serve(workspace: Workspace, port: int = 8765, browser: bool = True, tell: Callable[[str], None] = print) -> None:
    """Serve the workspace until Ctrl-C.

    Parameters
    ----------
    port : 0 takes one that is free
    browser : open the page
    tell : is given the address with its key, once the server listens

    Raises
    ------
    ServeError
        The port is taken, or may not be used.
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
            webbrowser.open(address + session.token_for_once())
        uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    # the protocol is named, or asyncio would not switch Nagle's algorithm off, which costs 40 ms an answer
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a server that just ended keeps its port
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        why = "is taken by another process" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise ServeError(
            f"port {port} of {ADDRESS} {why}; name another with --port, or --port 0 for one that is free"
        ) from None
    return listener
