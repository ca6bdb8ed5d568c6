"""A cut-out service on this machine with the faults of a real one, each for the objects that a test names."""

import gzip
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image
from support.workspaces import galaxy

Fault = Callable[["Answer"], None]


def picture(number: int, side: int = 48, kind: str = "JPEG") -> bytes:
    """The encoded image of an object; black for a negative number, as outside a footprint."""
    pixels = np.zeros((side, side, 3), np.uint8) if number < 0 else galaxy(number, side)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


@dataclass
class CutoutServer:
    """What was asked of the service, and what it does wrong. An object is named by its right ascension."""

    url: str = ""
    asked: list[tuple[float, int]] = field(default_factory=list)  # (when, object)
    sizes: dict[int, float] = field(default_factory=dict)
    agents: set[str] = field(default_factory=set)
    faults: dict[int, Fault] = field(default_factory=dict)  # always
    first_faults: dict[int, Fault] = field(default_factory=dict)  # the first time alone
    delay_s: float = 0.0

    @property
    def template(self) -> str:
        return f"{self.url}/cut?ra={{ra}}&dec={{dec}}&size={{size}}"

    @property
    def counts(self) -> Counter[int]:
        """How often each object was asked for."""
        return Counter(number for _, number in self.asked)


class Answer(BaseHTTPRequestHandler):
    """One request and its answer."""

    service: CutoutServer

    def do_GET(self) -> None:
        asked = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        self.number = round(float(asked["ra"]))
        again = self.number in self.service.counts
        self.service.asked.append((time.monotonic(), self.number))
        self.service.sizes[self.number] = float(asked.get("size", "nan"))
        self.service.agents.add(self.headers["User-Agent"])
        time.sleep(self.service.delay_s)
        fault = self.service.faults.get(self.number)
        if fault is None and not again:
            fault = self.service.first_faults.get(self.number)
        (fault or Answer.image)(self)

    def image(self) -> None:
        self.send(picture(self.number))

    def send(self, body: bytes, status: int = 200, kind: str = "image/jpeg", cut: int = 0, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[: len(body) - cut])

    def log_message(self, *_: object) -> None:
        pass


def busy(answer: Answer) -> None:
    answer.send(b"busy", 503, "text/plain", Retry_After="0")


def broken(answer: Answer) -> None:
    answer.send(b"internal error", 500, "text/plain")


def busy_for_an_hour(answer: Answer) -> None:
    answer.send(b"busy", 429, "text/plain", Retry_After="3600")


def cut_short(answer: Answer) -> None:
    answer.send(picture(answer.number), cut=300)


def half_an_image(answer: Answer) -> None:
    """Whole as HTTP goes, but the image ends in the middle."""
    body = picture(answer.number)
    answer.send(body[: len(body) // 2])


def web_page(answer: Answer) -> None:
    answer.send(b"<html>Internal error</html>", kind="text/html; charset=utf-8")


def web_page_called_image(answer: Answer) -> None:
    answer.send(b"<html>Internal error</html>")


def empty(answer: Answer) -> None:
    answer.send(b"")


def not_there(answer: Answer) -> None:
    answer.send(b"no such place", 404, "text/plain")


def huge(answer: Answer) -> None:
    answer.send(bytes(200_000))


def elsewhere(answer: Answer) -> None:
    answer.send(b"", 302, "text/plain", Location="file:///etc/hostname")


def black(answer: Answer) -> None:
    answer.send(picture(-1))


def png(answer: Answer) -> None:
    answer.send(picture(answer.number, kind="PNG"), kind="image/png")


def dripping(answer: Answer) -> None:
    """A byte now and then: never silent, never done (in a minute)."""
    answer.send_response(200)
    answer.send_header("Content-Type", "image/jpeg")
    answer.end_headers()
    _drip(answer, b"\xff")


def dripping_headers(answer: Answer) -> None:
    answer.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
    _drip(answer, b"a")


def _drip(answer: Answer, byte: bytes) -> None:
    with suppress(OSError):  # they went away
        for _ in range(600):
            answer.wfile.write(byte)
            time.sleep(0.1)


def by_a_detour(answer: Answer) -> None:
    """To the same object by way of another address, and from there to its image."""
    if "detour" in answer.path:
        answer.image()
    else:
        answer.send(b"", 302, "text/plain", Location=f"{answer.path}&detour=1")


def in_circles(answer: Answer) -> None:
    answer.send(b"", 302, "text/plain", Location=answer.path)


def to_no_address(answer: Answer) -> None:
    answer.send(b"", 302, "text/plain", Location="http://[bad")


def to_no_host(answer: Answer) -> None:
    answer.send(b"", 302, "text/plain", Location="http://")


def packed(answer: Answer) -> None:
    answer.send(gzip.compress(picture(answer.number)), Content_Encoding="gzip, gzip")


def painted(answer: Answer) -> None:
    """A type that takes over the terminal of whoever prints it."""
    answer.send(b"", kind="text/\x1b]0,owned\x07\x1b[31mhtml" + "A" * 3000)


def painted_status(answer: Answer) -> None:
    answer.send_response_only(404, "\x1b[31mred" + "B" * 2000)
    answer.end_headers()


def vast(answer: Answer) -> None:
    """Few bytes, many pixels."""
    out = io.BytesIO()
    Image.new("L", (4100, 4100)).save(out, "PNG")
    answer.send(out.getvalue(), kind="image/png")


def busy_soon(answer: Answer) -> None:
    answer.send(b"busy", 503, "text/plain", Retry_After="soon")


@contextmanager
def serving() -> Iterator[CutoutServer]:
    """The service, on a free port of 127.0.0.1."""
    state = CutoutServer()
    handler = type("Handler", (Answer,), {"service": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
