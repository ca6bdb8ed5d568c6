"""Request images from a cut-out service, or tiles from an archive, with limits on rate, time and size.

Our own loop repeats failed requests. The retries of requests and urllib3 would ignore the rate limit, and press a
service that is already in trouble. Every request, also a repeated or redirected one, goes through
`_PacedAdapter.send`, which waits until it may be sent. Nothing in an answer is trusted: its time and size are limited
while it arrives.
"""

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from functools import partial
from http import HTTPStatus
from pathlib import Path
from socket import SHUT_RDWR
from threading import Timer
from time import monotonic, sleep
from typing import Any, BinaryIO
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry

from catbuilder.core.files import atomic_write
from catbuilder.core.version import __version__

_AGAIN = (429, 500, 502, 503, 504)
_DOWN = (429, 502, 503, 504)  # a 500 may be about this one position: the others are still asked for
_SUFFIX = {"image/jpeg": ".jpg", "image/jpg": ".jpg", "image/png": ".png"}
# If the service asks for a longer pause, the fetch ends and says when to come back.
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True)
class RatePolicy:
    """Limits on the requests to a service.

    Attributes
    ----------
    rate_per_s : float
        Largest number of requests per second (default 2.0).
    tries : int
        Largest number of tries for an image, where another try may succeed (default 4).
    backoff_s : float
        Pause before the second try, seconds; doubled for each further one (default 1.0).
    connect_timeout_s : float
        Time limit to connect, seconds (default 10.0).
    read_timeout_s : float
        Longest silence, seconds (default 30.0).
    answer_timeout_s : float
        Time limit from a request to the last byte of its answer, seconds (default 120.0).
    max_bytes : int
        Largest size of an answer, bytes (default 16 * 2 ** 20).
    give_up_after : int
        Number of consecutive objects for which the service was down that ends the fetch (default 5).
    batch : int
        Number of images recorded at a time (default 200).
    """

    rate_per_s: float = 2.0  # as a person who pages through a list of images
    tries: int = 4  # per image, where another try may succeed
    backoff_s: float = 1.0  # pause before the second try, doubled for each further one
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0  # of silence
    answer_timeout_s: float = 120.0  # from a request to the last byte of its answer; some services drip
    max_bytes: int = 16 * 2**20  # per answer; a cut-out of 2048 pixels has 2 MB
    give_up_after: int = 5  # consecutive objects for which the service was down
    batch: int = 200  # images recorded at a time


class FetchFailed(Exception):
    """An image could not be fetched; `reason` says why in one printable line."""

    def __init__(
        self, reason: str, *, again: bool = False, service_is_down: bool = False, come_back_later: bool = False
    ) -> None:
        self.reason = "".join(letter for letter in reason if letter.isprintable())
        super().__init__(self.reason)
        self.again = again  # the same request may succeed soon
        self.service_is_down = service_is_down  # other objects would fail too
        self.come_back_later = come_back_later  # the service asks for a long pause


class CutoutClient:
    """Fetches images, or other files, one after the other. Close it after use (`with`)."""

    def __init__(self, policy: RatePolicy) -> None:
        self.policy = policy
        self._adapter = _PacedAdapter(policy)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"catbuilder/{__version__} {requests.utils.default_user_agent()}"
        self._session.headers["Accept"] = "image/jpeg, image/png, */*;q=0.1"
        # A length that counts compressed bytes would not tell whether the image is whole.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.max_redirects = 5
        # Only these two schemes: a redirect to file: or ftp: finds no adapter.
        self._session.adapters.clear()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def __enter__(self) -> "CutoutClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def image(self, url: str, keep: Callable[[bytes, str], Path]) -> Path:
        """Fetch an image and return the file in which `keep` stores its bytes.

        Parameters
        ----------
        keep : takes the bytes and the suffix (.jpg or .png) of an answer; raises FetchFailed for a bad image

        Raises
        ------
        FetchFailed
            At once, or after `policy.tries` tries where another try may succeed.
        """

        def image() -> Path:
            body = io.BytesIO()
            suffix = _SUFFIX[self._answer(url, body, tuple(_SUFFIX))]
            return keep(body.getvalue(), suffix)

        return self._tried(image)

    def file(self, url: str, path: Path) -> Path:
        """Request a file and return the path once it is complete there; raises like `image`."""

        def complete() -> Path:
            with atomic_write(path) as temporary, open(temporary, "wb") as into:
                self._answer(url, into, ())
            return path

        return self._tried(complete)

    def _tried(self, ask: Callable[[], Path]) -> Path:
        for attempt in range(1, self.policy.tries + 1):
            try:
                return ask()
            except FetchFailed as failed:
                if not failed.again:
                    raise
                if attempt == self.policy.tries:
                    tries = f" (asked {attempt} times)" if attempt > 1 else ""
                    raise FetchFailed(failed.reason + tries, service_is_down=failed.service_is_down) from None
                self._adapter.pause(self.policy.backoff_s * 2 ** (attempt - 1))
        raise AssertionError("the last try returns or raises")

    def _answer(self, url: str, into: BinaryIO, kinds: tuple[str, ...]) -> str:
        """Write a complete answer with status 200 into a file, and give its declared type: one of these, if any."""
        timeouts = (self.policy.connect_timeout_s, self.policy.read_timeout_s)
        try:
            with self._session.get(url, stream=True, timeout=timeouts) as response:
                self._refuse_late()
                kind = self._kind(response, kinds)
                self._body(response, into)
                self._refuse_late()
                return kind
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise self._explained(error) from None
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT):
                raise  # our disk, not their service
            raise self._explained(error) from None
        finally:
            self._adapter.stop_timer()

    def _refuse_late(self) -> None:
        """Refuse an answer that was ended: what came of it looks like a short but complete one."""
        if self._adapter.too_late:
            within = f"within {self.policy.answer_timeout_s:g} s"
            raise FetchFailed(f"the answer was not complete {within}", service_is_down=True)

    def _explained(self, error: Exception) -> FetchFailed:
        self._refuse_late()
        if isinstance(error, (requests.exceptions.ChunkedEncodingError, ProtocolError)):
            return FetchFailed("the answer was cut short", again=True)
        if isinstance(error, (requests.Timeout, ReadTimeoutError)):
            return FetchFailed("the service does not answer in time", service_is_down=True)
        if isinstance(error, requests.ConnectionError):
            return FetchFailed(f"the service does not answer ({_cause(error)})", again=True, service_is_down=True)
        # The template was checked, so a bad address comes from a redirect. For some of them urllib3 and urllib raise
        # errors of their own (ValueError for http://[bad).
        if isinstance(error, (requests.TooManyRedirects, ValueError, HTTPError)):
            return FetchFailed("the service redirected to an unusable address")
        return FetchFailed(f"the request failed ({_shortened(str(error))})")

    def _kind(self, response: requests.Response, kinds: tuple[str, ...]) -> str:
        code = response.status_code
        if code in _AGAIN:
            self._apply_retry_after(response.headers.get("Retry-After", ""))
        if code != 200:
            reason = f"the service answered {code} {_PHRASES.get(code, '')}".rstrip()
            raise FetchFailed(reason, again=code in _AGAIN, service_is_down=code in _DOWN)
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding != "identity":  # 1 MB may decompress to 1 TB
            raise FetchFailed(f"the answer is compressed ({_shortened(coding)}), which was not requested")
        kind = response.headers.get("Content-Type", "of no stated type").partition(";")[0].strip().lower()
        if kinds and kind not in kinds:
            raise FetchFailed(f"the answer is {_shortened(kind)}, not a JPEG or PNG image")
        if kind == "text/html":
            raise FetchFailed(f"the answer is {_shortened(kind)}, not a FITS file")
        return kind

    def _apply_retry_after(self, retry_after: str) -> None:
        """Pause as long as the service asks before the next request, also for another object."""
        try:
            seconds = Retry(retry_after_max=604800).parse_retry_after(retry_after)
        except (HTTPError, ValueError, OverflowError):  # empty or unreadable
            return
        if seconds > _LONGEST_WAIT_S:
            raise FetchFailed(
                f"the service asks for a pause of {seconds:.0f} s", service_is_down=True, come_back_later=True
            )
        self._adapter.pause(seconds)

    def _body(self, response: requests.Response, into: BinaryIO) -> None:
        length = 0
        # read1 returns what has come; iter_content would wait for a whole piece from a service that drips.
        while piece := response.raw.read1(65536, decode_content=False):
            self._refuse_late()
            length += len(piece)
            if length > self.policy.max_bytes:
                raise FetchFailed(f"the answer has more than {self.policy.max_bytes:,} bytes, which is too much")
            into.write(piece)
        if not length:
            raise FetchFailed("the answer was empty", again=True)


class _PacedAdapter(HTTPAdapter):
    """Keeps requests to the agreed rate, and ends an answer that takes too long.

    The timeouts of requests limit silence alone: a byte every half second satisfies them for ever, in the headers too.
    So a timer shuts the connection down when the time is up. While a body is read, the client looks at `too_late`
    itself: a connection that will close after the answer has let go of its socket by then.
    """

    def __init__(self, policy: RatePolicy) -> None:
        super().__init__(max_retries=0)
        self.policy = policy
        self.next_at = monotonic()
        self.too_late = False  # whether the last answer was ended
        self._timer = Timer(0, self._end_answer)
        self._connections: WeakSet[HTTPConnection] = WeakSet()

    def pause(self, seconds: float) -> None:
        """Send nothing for so long."""
        self.next_at = max(self.next_at, monotonic() + seconds)

    def stop_timer(self) -> None:
        """Stop the clock of the last answer."""
        self._timer.cancel()

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        """Wait until this request may be sent, then send it; the body of a redirect is not read."""
        self.stop_timer()
        sleep(max(0.0, self.next_at - monotonic()))
        self.next_at = monotonic() + 1 / self.policy.rate_per_s
        self._start_timer()
        response = super().send(*arguments, **options)
        if response.is_redirect:
            response.raw.close()  # requests would read all of it, whatever its size
            response.raw = io.BytesIO()
        return response

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """The connection pool for a request; its connections are remembered, so that they can be shut down."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        if not isinstance(pool.ConnectionCls, partial):
            pool.ConnectionCls = partial(self._connect, pool.ConnectionCls)
        return pool

    def _connect(self, kind: type[HTTPConnection], **options: Any) -> HTTPConnection:
        connection = kind(**options)
        self._connections.add(connection)
        return connection

    def _start_timer(self) -> None:
        self.too_late = False
        self._timer = Timer(self.policy.answer_timeout_s, self._end_answer)
        self._timer.daemon = True
        self._timer.start()

    def _end_answer(self) -> None:
        self.too_late = True
        for connection in list(self._connections):
            if connection.sock is not None:
                with suppress(OSError):  # it has just ended by itself
                    connection.sock.shutdown(SHUT_RDWR)


# A service may send any text with its status; only the number is used.
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _shortened(text: str) -> str:
    """The printable letters of a service's text, at most 100."""
    return "".join(letter for letter in text if letter.isprintable())[:100]


def _cause(error: BaseException) -> str:
    """The system's message inside a connection error."""
    while error.__context__ is not None:
        error = error.__context__
    return _shortened(str(error))
