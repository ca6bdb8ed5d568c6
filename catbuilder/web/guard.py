"""Who may ask the page: this machine, with the session's cookie, and for a write from the page itself.

The server listens on the loopback address alone, but every browser of this machine can be made to ask it, by any page
that is open in it, and any user of the machine can. So each request must

* name the loopback as its host: a name that an attacker lets point here (DNS rebinding) is refused;
* carry the cookie, which whoever started the server gets by the address with the token that it prints;
* if it is a POST, come from a page of this very origin, as browsers state in the header Origin;
* have a body of no more than `LONGEST_BODY` bytes.

Answers forbid scripts and styles that are not files of this server, frames, and keeping a page.
"""

import secrets
import time
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ONCE_S = 60.0
LONGEST_BODY = 1_100_000  # bytes: a query of SQL may have a million
HOSTS = ("127.0.0.1", "localhost", "[::1]")
OPEN_TO_ALL = "/static/"  # files of the package, which say nothing of the catalogue

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # not 'no-referrer': the browser would then state the origin of our own forms as null
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Session:
    """The secrets of one run of the server: the tokens that let in, and the cookie that they are exchanged for.

    The token that is printed holds as long as the server. The one that a browser is started with stands in the process
    list, for every user of the machine: it lets in once, and for `ONCE_S` seconds.
    """

    def __init__(self, port: int) -> None:
        self.token, self.cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.cookie_name = f"catbuilder-{port}"  # cookies do not tell the ports of a host apart
        self._once, self._until = "", 0.0

    def token_for_once(self, seconds: float = ONCE_S) -> str:
        """A new token, good for the first who comes with it within so many seconds."""
        self._once, self._until = secrets.token_urlsafe(32), time.monotonic() + seconds
        return self._once

    def lets_in(self, query: str) -> bool:
        """Whether the query of an address carries a token that is still good; one for once is not, from then on."""
        given = parse_qs(query).get("token", [""])[0].encode()
        if secrets.compare_digest(given, self.token.encode()):
            return True
        if not self._once or not secrets.compare_digest(given, self._once.encode()):
            return False
        self._once = ""
        return time.monotonic() < self._until

    def has_cookie(self, header: str) -> bool:
        """Whether a Cookie header carries the session's."""
        # not by http.cookies, which gives up on all of them where another server of this host has set an odd one
        given = cookie_parser(header).get(self.cookie_name, "")
        return secrets.compare_digest(given.encode(), self.cookie.encode())


class Guard:
    """ASGI middleware in front of everything."""

    def __init__(self, app: ASGIApp, session: Session) -> None:
        self.app, self.session = app, session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is refused, or pass it on and put the headers on its answer."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    own[name] = value
                own.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        await self.app(scope, _Bounded(receive), send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
            return _no(421, "This server answers to 127.0.0.1 and localhost only.")
        if scope["path"].startswith(OPEN_TO_ALL) and scope["method"] == "GET":
            return None
        query = scope["query_string"].decode("latin-1")
        if scope["method"] == "GET" and self.session.lets_in(query):
            return self._let_in(scope["path"], query)
        if not self.session.has_cookie(headers.get("cookie", "")):
            return _no(403, "Open the address that catbuilder serve has printed: it holds the key to this page.")
        if scope["method"] not in ("GET", "HEAD"):
            origin = urlsplit(headers.get("origin", ""))
            if origin.scheme != "http" or origin.netloc != host:
                return _no(403, "This was not asked by a page of this server, and nothing was done.")
            if not headers.get("content-length", "").isdigit():
                return _no(411, "The length of the request is missing.")
            if int(headers["content-length"]) > LONGEST_BODY:
                return _no(413, f"More than {LONGEST_BODY:,} bytes are not read.")
        return None

    def _let_in(self, path: str, query: str) -> Response:
        """The same address without the token, which thus stands in no history, and the cookie."""
        left = {name: values for name, values in parse_qs(query).items() if name != "token"}
        # a path that begins with two slashes would be an address elsewhere
        target = "/" + path.lstrip("/\\") + ("?" + urlencode(left, doseq=True) if left else "")
        response = RedirectResponse(target, status_code=303)
        response.set_cookie(self.session.cookie_name, self.session.cookie, httponly=True, samesite="strict", path="/")
        return response


class _Bounded:
    """What is received, as long as it is no more than was announced and allowed."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._left = receive, LONGEST_BODY

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                return {"type": "http.disconnect"}
        return message


def _no(status: int, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status)
