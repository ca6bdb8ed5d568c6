"""Access control of the web page: check host, cookie, origin and size of every request.

The server listens only on the loopback address. But other users of the machine can send requests to it, and so can any
web page that is open in a browser of the machine. So each request must

* name the loopback as its host, which refuses names that an attacker points to it (DNS rebinding);
* carry the session's cookie, which is given in exchange for the token in the printed address;
* if it is a POST, come from a page of the same origin, as browsers state in the header Origin;
* have a body of at most `LONGEST_BODY` bytes.

Responses forbid scripts and styles from elsewhere, frames, and caching.
"""

import secrets
import time
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ONE_TIME_S = 60.0
LONGEST_BODY = 1_100_000  # bytes; an SQL query may have a million
HOSTS = ("127.0.0.1", "localhost", "[::1]")
PUBLIC = "/static/"  # files of the package, which hold no data of the catalogue

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
    """The secrets of one run of the server: two tokens, and the cookie that is given in exchange for one.

    The printed token is valid as long as the server runs. The token of the browser that the server starts is visible to
    all users in the process list, so it is valid once and for `ONE_TIME_S` seconds.
    """

    def __init__(self, port: int) -> None:
        self.token, self.cookie = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.cookie_name = f"catbuilder-{port}"  # cookies are shared by all ports of a host
        self._one_time, self._expires = "", 0.0

    def one_time_token(self, seconds: float = ONE_TIME_S) -> str:
        """Make a new token, valid for the first request within so many seconds."""
        self._one_time, self._expires = secrets.token_urlsafe(32), time.monotonic() + seconds
        return self._one_time

    def accepts_token(self, query: str) -> bool:
        """Whether the query of an address has a valid token; a one-time token becomes invalid."""
        given = parse_qs(query).get("token", [""])[0].encode()
        if secrets.compare_digest(given, self.token.encode()):
            return True
        if not self._one_time or not secrets.compare_digest(given, self._one_time.encode()):
            return False
        self._one_time = ""
        return time.monotonic() < self._expires

    def has_cookie(self, header: str) -> bool:
        """Whether a Cookie header has the session's cookie."""
        # http.cookies rejects all cookies if another server of this host has set an invalid one
        given = cookie_parser(header).get(self.cookie_name, "")
        return secrets.compare_digest(given.encode(), self.cookie.encode())


class Guard:
    """ASGI middleware that checks every request and sets headers of every response."""

    def __init__(self, app: ASGIApp, session: Session) -> None:
        self.app, self.session = app, session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on and add headers to the response."""
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
            return _refuse(421, "This server answers to 127.0.0.1 and localhost only.")
        if scope["path"].startswith(PUBLIC) and scope["method"] == "GET":
            return None
        query = scope["query_string"].decode("latin-1")
        if scope["method"] == "GET" and self.session.accepts_token(query):
            return self._exchange_token(scope["path"], query)
        if not self.session.has_cookie(headers.get("cookie", "")):
            return _refuse(403, "Open the address printed by catbuilder serve: it contains the key to this page.")
        if scope["method"] not in ("GET", "HEAD"):
            origin = urlsplit(headers.get("origin", ""))
            if origin.scheme != "http" or origin.netloc != host:
                return _refuse(403, "The request did not come from a page of this server; nothing was changed.")
            if not headers.get("content-length", "").isdigit():
                return _refuse(411, "The length of the request is missing.")
            if int(headers["content-length"]) > LONGEST_BODY:
                return _refuse(413, f"The request is larger than {LONGEST_BODY:,} bytes.")
        return None

    def _exchange_token(self, path: str, query: str) -> Response:
        """Redirect to the address without the token, to keep it out of the history, and set the cookie."""
        left = {name: values for name, values in parse_qs(query).items() if name != "token"}
        # a path that begins with two slashes would lead to another host
        target = "/" + path.lstrip("/\\") + ("?" + urlencode(left, doseq=True) if left else "")
        response = RedirectResponse(target, status_code=303)
        response.set_cookie(self.session.cookie_name, self.session.cookie, httponly=True, samesite="strict", path="/")
        return response


class _Bounded:
    """Receive the body of a request, and disconnect if it is longer than allowed."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._left = receive, LONGEST_BODY

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                return {"type": "http.disconnect"}
        return message


def _refuse(status: int, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status)
