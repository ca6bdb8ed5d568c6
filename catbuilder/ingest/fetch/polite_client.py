"""Ask a cut-out service for one image: not faster than agreed, not longer than agreed, and believing nothing it says.

Our own loop does the tries, and neither requests nor urllib3: theirs would pass by the clock, and a service in trouble
would be asked at the very rate that it cannot bear. Every request, be it a try or where a redirect leads, goes through
`_Paced.send`, which waits its turn. What comes back is held to limits of time and size while it comes.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path
from socket import socket
from time import monotonic, sleep
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from catbuilder import __version__

_AGAIN = (429, 500, 502, 503, 504)
_DOWN = (429, 502, 503, 504)  # a 500 may be about this one position: the others are still asked for
_SUFFIX = {"image/jpeg": ".jpg", "image/jpg": ".jpg", "image/png": ".png"}
# Longer than this nobody waits before a silent terminal: the fetch ends, and says when to come back.
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True)
class RatePolicy:
    """How a service is asked."""

    rate_per_s: float = 2.0  # what a person who pages through a list of images may cause
    tries: int = 4  # of one image, where trying again makes sense
    backoff_s: float = 1.0  # doubled from try to try, unless the service says how long to wait
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0  # of silence
    answer_timeout_s: float = 120.0  # from a request to the last byte of its answer: some drip
    max_bytes: int = 16 * 2**20  # of one answer: a cut-out of 2048 pixels has 2 MB
    give_up_after: int = 5  # objects in a row for which the service was down
    batch: int = 200  # images recorded at a time


class FetchFailed(Exception):
    """An image could not be had; `reason` says why, fit for a terminal and one line of a table."""

    def __init__(
        self, reason: str, *, again: bool = False, service_is_down: bool = False, come_back_later: bool = False
    ) -> None:
        self.reason = "".join(letter for letter in reason if letter.isprintable())
        super().__init__(self.reason)
        self.again = again  # the same request may do better soon
        self.service_is_down = service_is_down  # and would fail for other objects too
        self.come_back_later = come_back_later


class CutoutClient:
    """Asks for one image after the other. Close it after use (`with`)."""

    def __init__(self, manners: RatePolicy) -> None:
        self.manners = manners
        self._paced = _Paced(manners)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"catbuilder/{__version__} {requests.utils.default_user_agent()}"
        self._session.headers["Accept"] = "image/jpeg, image/png"
        # A length that counts compressed bytes would not tell whether the image is whole.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.max_redirects = 5
        # These two schemes and no other: a redirect to file: or ftp: finds nobody to follow it.
        self._session.adapters.clear()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._paced)

    def __enter__(self) -> "CutoutClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def image(self, url: str, keep: Callable[[bytes, str], Path]) -> Path:
        """The file that `keep` makes of the bytes and the suffix (.jpg or .png) of an answer, or finds wanting.

        Raises
        ------
        NotHad
            At once, or after as many tries as agreed where trying again makes sense.
        """
        for attempt in range(1, self.manners.tries + 1):
            try:
                return keep(*self._answer(url))
            except FetchFailed as failed:
                if not failed.again:
                    raise
                if attempt == self.manners.tries:
                    tries = f" (asked {attempt} times)" if attempt > 1 else ""
                    raise FetchFailed(failed.reason + tries, service_is_down=failed.service_is_down) from None
                self._paced.rest(self.manners.backoff_s * 2 ** (attempt - 1))
        raise AssertionError("the last try returns or raises")

    def _answer(self, url: str) -> tuple[bytes, str]:
        """Bytes and suffix of a whole answer of 200 that says it is an image."""
        timeouts = (self.manners.connect_timeout_s, self.manners.read_timeout_s)
        try:
            with self._session.get(url, stream=True, timeout=timeouts) as response:
                suffix = self._suffix(response)
                return self._body(response), suffix
        except (requests.RequestException, HTTPError, ValueError, OSError) as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> FetchFailed:
        if monotonic() >= self._paced.until:
            within = f"within {self.manners.answer_timeout_s:g} s"
            return FetchFailed(f"the answer was not whole {within}", service_is_down=True)
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return FetchFailed("the answer was cut short", again=True)
        if isinstance(error, requests.Timeout):
            return FetchFailed("the service does not answer in time", service_is_down=True)
        if isinstance(error, requests.ConnectionError):
            return FetchFailed(f"the service does not answer ({_cause(error)})", again=True, service_is_down=True)
        # The template was good when it was checked: another address than that is one that a redirect gave. requests
        # leaves some of them to urllib3 and to urllib, which raise errors of their own (ValueError for http://[bad).
        if isinstance(error, (requests.TooManyRedirects, ValueError, HTTPError)):
            return FetchFailed("the service sent us on to where no image can be fetched from")
        return FetchFailed(f"the request failed ({_shortened(str(error))})")

    def _suffix(self, response: requests.Response) -> str:
        code = response.status_code
        if code in _AGAIN:
            self._heed(response.headers.get("Retry-After", ""))
        if code != 200:
            reason = f"the service answered {code} {_PHRASES.get(code, '')}".rstrip()
            raise FetchFailed(reason, again=code in _AGAIN, service_is_down=code in _DOWN)
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding != "identity":  # 1 MB of it may unfold to a TB
            raise FetchFailed(f"the answer is packed ({_shortened(coding)}), which we did not ask for")
        kind = response.headers.get("Content-Type", "nothing in particular").partition(";")[0].strip().lower()
        if kind not in _SUFFIX:
            raise FetchFailed(f"the answer says that it is {_shortened(kind)}, not a JPEG or PNG image")
        return _SUFFIX[kind]

    def _heed(self, retry_after: str) -> None:
        """Wait as long as the service asks before the next request, also that of another object."""
        try:
            seconds = Retry(retry_after_max=604800).parse_retry_after(retry_after)
        except (HTTPError, ValueError, OverflowError):  # says nothing, or nothing that can be understood
            return
        if seconds > _LONGEST_WAIT_S:
            raise FetchFailed(
                f"the service asks to be left alone for {seconds:.0f} s", service_is_down=True, come_back_later=True
            )
        self._paced.rest(seconds)

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_content(65536):
            body += piece
            if len(body) > self.manners.max_bytes:
                raise FetchFailed(f"the answer has more than {self.manners.max_bytes:,} bytes, which no cut-out needs")
        if not body:
            raise FetchFailed("the answer was empty", again=True)
        return bytes(body)


class _Paced(HTTPAdapter):
    """Sends every request in its turn, and ends an answer that has taken too long."""

    def __init__(self, manners: RatePolicy) -> None:
        super().__init__(max_retries=0)
        self.manners = manners
        self.next_at = self.until = monotonic()

    def rest(self, seconds: float) -> None:
        """Send nothing for so long."""
        self.next_at = max(self.next_at, monotonic() + seconds)

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        """Wait for this request's turn, then send it; what a redirect says beside its address is not read."""
        sleep(max(0.0, self.next_at - monotonic()))
        self.next_at = monotonic() + 1 / self.manners.rate_per_s
        self.until = monotonic() + self.manners.answer_timeout_s
        response = super().send(*arguments, **options)
        if response.is_redirect:
            response.raw.close()  # requests would read all of it, however much there is
            response.raw = io.BytesIO()
        return response

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """The pool of connections that requests asks for, its connections made to keep our time."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        pool.ConnectionCls = partial(self._connection, type(pool).ConnectionCls)
        return pool

    def _connection(self, kind: type[HTTPConnection], **options: Any) -> HTTPConnection:
        connection = kind(**options)
        connection.response_class = partial(_TimedResponse, self)  # type: ignore[assignment]
        return connection


class _TimedResponse(HTTPResponse):
    """An answer of which headers and body alike are read against the clock.

    The timeouts of sockets are about silence: a byte every half second satisfies them for ever.
    """

    def __init__(self, paced: _Paced, connected: socket, *arguments: Any, **options: Any) -> None:
        super().__init__(connected, *arguments, **options)
        self.fp = io.BufferedReader(_Timed(paced, connected, self.fp.detach()))


class _Timed(io.RawIOBase):
    """Bytes of a socket, as long as there is time left."""

    def __init__(self, paced: _Paced, connected: socket, raw: io.RawIOBase) -> None:
        self.paced, self.connected, self.raw = paced, connected, raw
        self.silence_s = connected.gettimeout() or paced.manners.read_timeout_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.paced.until - monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self.connected.settimeout(min(left, self.silence_s))
        return self.raw.readinto(buffer)

    def close(self) -> None:
        self.raw.close()
        super().close()


# A service's own words for its status may be anything; only the number is believed.
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _shortened(text: str) -> str:
    """Words of a service, at most 100 letters of them."""
    return "".join(letter for letter in text if letter.isprintable())[:100]


def _cause(error: BaseException) -> str:
    """The innermost words of a connection's error: what the system said."""
    while error.__context__ is not None:
        error = error.__context__
    return _shortened(str(error))
