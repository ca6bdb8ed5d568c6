"""Fetch the images that are missing from a cut-out service: one request at a time, at a rate that the service can bear.

An archive's image service belongs to everybody. So there is one connection and no threads: a thousand images take eight
minutes where a crowd of workers would take one and have our users locked out. Files are kept as they came, below
`fetched/<survey>/<service>/`, whole or not at all, and recorded in batches: a fetch that is stopped anywhere asks again
for nothing that it has.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import pyarrow as pa
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from catbuilder import __version__
from catbuilder.files import written_whole
from catbuilder.images import read_picture
from catbuilder.ingest import Progress, ingest_images
from catbuilder.missing import Target, objects_without_image
from catbuilder.resources import query
from catbuilder.services import Service
from catbuilder.tables import Rejection
from catbuilder.workspace import Workspace

_AGAIN = (429, 500, 502, 503, 504)
_DOWN = (429, 502, 503, 504)  # a 500 may be about this one position: the others are still asked for
_SUFFIX = {"image/jpeg": ".jpg", "image/jpg": ".jpg", "image/png": ".png"}
# Longer than this nobody waits before a silent terminal: the fetch ends, and says when to come back.
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True)
class Manners:
    """How a service is asked."""

    rate_per_s: float = 2.0  # what a person who pages through a list of images may cause
    tries: int = 4  # of one image, where trying again makes sense
    backoff_s: float = 1.0  # doubled from try to try, unless the service says how long to wait
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    max_bytes: int = 16 * 2**20  # of one answer: a cut-out of 2048 pixels has 2 MB
    give_up_after: int = 5  # objects in a row for which the service was down
    batch: int = 200  # images recorded at a time


@dataclass(frozen=True)
class Failure:
    """An object whose image could not be had."""

    object_id: int
    url: str
    reason: str


@dataclass
class FetchReport:
    """What a fetch did; every object without an image is in exactly one of the counts."""

    wanted: int
    added: int = 0  # objects with a good stamp
    flagged: Counter[str] = field(default_factory=Counter)  # have one too, but outside training, by quality flag
    flagged_objects: int = 0
    failures: list[Failure] = field(default_factory=list)
    failures_file: Path | None = None
    rejections: list[Rejection] = field(default_factory=list)  # got an image from elsewhere meanwhile
    given_up: str | None = None  # why the rest was not asked for

    @property
    def unasked(self) -> int:
        """Objects that were left because the service was down."""
        return self.wanted - self.added - self.flagged_objects - len(self.failures) - len(self.rejections)


def fetch(
    workspace: Workspace,
    survey: str,
    service: Service,
    *,
    where: str | None = None,
    n: int | None = None,
    width_arcsec: float | None = None,
    manners: Manners | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Bring in an image of every object of a survey that has a position and no readable stamp, test objects too.

    An object without a split gets `none`: it will be scored, and neither trained on nor promoted. An image without
    a source in it (outside the footprint) comes in flagged like any other.

    Parameters
    ----------
    where : an SQL condition on the columns of `catalog`
    n : the first so many, by object_id
    width_arcsec : of every image; by default each by its object's radius (`missing.cutout_width`)

    Raises
    ------
    InputError
        The workspace has no such survey.
    QueryError
        The condition is not valid.
    """
    manners = manners or Manners()
    targets = objects_without_image(workspace, survey, where=where, n=n, width_arcsec=width_arcsec)
    batches = _Batches(workspace, survey, service, FetchReport(len(targets)))
    asker = _Asker(manners, workspace.config.stamp_size)
    down = 0
    with batches.listing_failures(), asker.session:
        for done, target in enumerate(targets, start=1):
            url = service.url(target.ra, target.dec, target.width_arcsec)
            try:
                batches.waiting.append((target, asker.keep(url, batches.folder / str(target.object_id))))
                down = 0
            except _Failed as failed:
                batches.report.failures.append(Failure(target.object_id, url, failed.reason))
                down = down + 1 if failed.service_is_down else 0
                if failed.come_back_later or down >= manners.give_up_after:
                    batches.report.given_up = failed.reason
                    break
            if len(batches.waiting) >= manners.batch:
                batches.record()
            if progress:
                progress(done, len(targets))
        batches.record()
    return batches.report


class _Failed(Exception):
    """An image could not be had. Never leaves this module."""

    def __init__(
        self, reason: str, *, again: bool = False, service_is_down: bool = False, come_back_later: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again  # the same request may do better at once
        self.service_is_down = service_is_down  # and would fail for other objects too
        self.come_back_later = come_back_later


@dataclass
class _Batches:
    """Where the images go: files first, then so many at a time into the catalogue."""

    workspace: Workspace
    survey: str
    service: Service
    report: FetchReport
    waiting: list[tuple[Target, Path]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.workspace.path / "fetched" / self.survey / self.service.folder

    def record(self) -> None:
        """Ingest what is waiting, with a table made for it."""
        if not self.waiting:
            return
        table = self.folder / "batch.csv"
        unassigned = self._unassigned()
        with written_whole(table) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["object_id", "file", "split"])
            for target, path in self.waiting:
                rows.writerow([target.object_id, path.name, "none" if target.object_id in unassigned else ""])
        got = ingest_images(
            self.workspace, self.folder, table, survey=self.survey, rendering=self.service.rendering,
            arcsec_per_pixel=self.service.arcsec_per_pixel,
        )  # fmt: skip
        table.unlink()
        self.report.added += got.added + got.unchanged
        self.report.flagged.update(got.flagged)
        self.report.flagged_objects += len(got.flagged_files)
        self.report.rejections += got.rejections
        self.waiting.clear()

    def _unassigned(self) -> set[int]:
        """Objects without a split. Asked late: whoever assembled the sets during a fetch of hours has the last word."""
        ids = pa.array([target.object_id for target, _ in self.waiting], pa.int64())
        with self.workspace.reading() as con:
            con.register("fetched", pa.table({"object_id": ids}))
            return {row[0] for row in con.execute(query("fetch_unassigned"), {"survey": self.survey}).fetchall()}

    @contextmanager
    def listing_failures(self) -> Iterator[None]:
        """List in `failed.csv` what this fetch could not have, however it ends."""
        file = self.folder / "failed.csv"
        try:
            yield
        finally:
            file.unlink(missing_ok=True)
            if self.report.failures:
                self.report.failures_file = file
                with written_whole(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
                    rows = csv.writer(out)
                    rows.writerow(["object_id", "url", "reason"])
                    rows.writerows([f.object_id, f.url, f.reason] for f in self.report.failures)


class _Asker:
    """Asks for one image after the other, not faster than agreed."""

    def __init__(self, manners: Manners, stamp_size: int) -> None:
        self.manners, self.stamp_size = manners, stamp_size
        self.next_at = monotonic()
        self.session = requests.Session()
        self.session.headers["User-Agent"] = f"catbuilder/{__version__} {requests.utils.default_user_agent()}"
        self.session.headers["Accept"] = "image/jpeg, image/png"
        # A length that counts compressed bytes would not tell whether the image is whole.
        self.session.headers["Accept-Encoding"] = "identity"
        self.session.max_redirects = 5
        retry = _Patience(
            total=manners.tries - 1, read=1, redirect=0, status_forcelist=_AGAIN, backoff_factor=manners.backoff_s,
            allowed_methods={"GET"}, raise_on_status=False, respect_retry_after_header=True,
        )  # fmt: skip
        # These two schemes and no other: a redirect to file: or ftp: finds nobody to follow it.
        self.session.adapters.clear()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=retry))

    def keep(self, url: str, stem: Path) -> Path:
        """The image of a URL as a file, <stem>.jpg or .png; the one that is there already, if it can be read."""
        for path in (stem.with_suffix(".jpg"), stem.with_suffix(".png")):
            if path.is_file():
                if read_picture(path, self.stamp_size).pixels is not None:
                    return path
                path.unlink()
        for left in reversed(range(self.manners.tries)):
            try:
                return self._store(*self._answer(url), stem)
            except _Failed as failed:
                if not failed.again or not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _answer(self, url: str) -> tuple[bytes, str]:
        """Bytes and suffix of a whole answer of 200 that says it is an image."""
        sleep(max(0.0, self.next_at - monotonic()))
        self.next_at = monotonic() + 1 / self.manners.rate_per_s
        timeouts = (self.manners.connect_timeout_s, self.manners.read_timeout_s)
        try:
            with self.session.get(url, stream=True, timeout=timeouts) as response:
                suffix = self._suffix(response)
                return self._body(response), suffix
        except requests.exceptions.ChunkedEncodingError:
            raise _Failed("the answer was cut short", again=True) from None
        except requests.exceptions.Timeout:
            raise _Failed("the service does not answer in time", service_is_down=True) from None
        except (requests.exceptions.TooManyRedirects, requests.exceptions.InvalidSchema):
            raise _Failed("the service sent us on to where no image can be fetched from") from None
        except requests.exceptions.ConnectionError as error:
            raise _Failed(f"the service does not answer ({_cause(error)})", service_is_down=True) from None
        except requests.exceptions.RequestException as error:
            raise _Failed(f"the request failed ({error})") from None

    def _suffix(self, response: requests.Response) -> str:
        if response.status_code != 200:
            tries = f" {self.manners.tries} times" if response.status_code in _AGAIN else ""
            raise _Failed(
                f"the service answered{tries} {response.status_code} {response.reason}",
                service_is_down=response.status_code in _DOWN,
            )
        kind = response.headers.get("Content-Type", "nothing in particular").partition(";")[0].strip().lower()
        if kind not in _SUFFIX:
            raise _Failed(f"the answer says that it is {kind}, not a JPEG or PNG image")
        return _SUFFIX[kind]

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_content(65536):
            body += piece
            if len(body) > self.manners.max_bytes:
                raise _Failed(f"the answer has more than {self.manners.max_bytes:,} bytes, which no cut-out needs")
        if not body:
            raise _Failed("the answer was empty", again=True)
        return bytes(body)

    def _store(self, data: bytes, suffix: str, stem: Path) -> Path:
        path = stem.with_suffix(suffix)
        with written_whole(path) as temporary:
            temporary.write_bytes(data)
            picture = read_picture(temporary, self.stamp_size)
            if picture.reason is not None:
                raise _Failed(picture.reason.removeprefix(f"{temporary.name}: "), again=True)
        return path


class _Patience(Retry):
    """Waits as long as the service asks, unless that is longer than a person would."""

    def get_backoff_time(self) -> float:
        # Left to itself it asks the second time at once, and pauses only before the third.
        return max(super().get_backoff_time(), self.backoff_factor)

    def parse_retry_after(self, retry_after: str) -> float:
        seconds = super().parse_retry_after(retry_after)
        if seconds > _LONGEST_WAIT_S:
            raise _Failed(f"the service asks to be left alone for {seconds:.0f} s", come_back_later=True)
        return seconds


def _cause(error: BaseException) -> str:
    """The innermost words of a connection's error: what the system said."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error)
