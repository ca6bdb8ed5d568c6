"""Fetch the images that are missing from a cut-out service: one request at a time, at a rate that the service can bear.

An archive's image service belongs to everybody. So there is one connection and no threads: a thousand images take eight
minutes where a crowd of workers would take one and have our users locked out. Files are kept as they came, below
`fetched/<survey>/<service>/`, whole or not at all, and recorded in batches: a fetch that is stopped anywhere asks again
for nothing that it has.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.csv_table import Rejection
from catbuilder.core.files import append_line, atomic_write, exclusive_lock
from catbuilder.ingest.fetch.cutout_services import Service
from catbuilder.ingest.fetch.missing_images import Target, objects_without_image, still_without_image
from catbuilder.ingest.fetch.polite_client import CutoutClient, FetchFailed, RatePolicy
from catbuilder.ingest.images import Progress, ingest_images
from catbuilder.ingest.picture import read_picture

# What no cut-out service draws: a 60 kB PNG may unfold to gigabytes.
_MAX_PIXELS = 4096**2
_FAILED_COLUMNS = ("object_id", "url", "reason")


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
        """Objects that were left because the service was down or wants to be left alone."""
        return self.wanted - self.added - self.flagged_objects - len(self.failures) - len(self.rejections)


def fetch(
    workspace: Workspace,
    survey: str,
    service: Service,
    *,
    where: str | None = None,
    n: int | None = None,
    width_arcsec: float | None = None,
    manners: RatePolicy | None = None,
    progress: Progress | None = None,
) -> FetchReport:
    """Bring in an image of every object of a survey that has a position and no readable stamp, test objects too.

    An object without a split gets `none`: it will be scored, and neither trained on nor promoted. An image without
    a source in it (outside the footprint) comes in flagged like any other. A stamp that was cut from tiles and lacks
    pixels (`masked`, `truncated`) counts as none and is replaced.

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
    WorkspaceBusy
        Another fetch of this survey from this service is under way.
    """
    manners = manners or RatePolicy()
    targets = objects_without_image(workspace, survey, where=where, n=n, width_arcsec=width_arcsec)
    batches = _Batches(workspace, survey, service, FetchReport(len(targets)))
    if not targets:
        return batches.report
    down = 0
    with batches.alone(), batches.listing_failures(), CutoutClient(manners) as asker:
        for done, target in enumerate(targets, start=1):
            try:
                batches.waiting.append((target, batches.keep(asker, target)))
                down = 0
            except FetchFailed as failed:
                batches.list_failure(target, failed.reason)
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

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder: two at once would write one list of failures and one table, and double the rate."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(
            self.folder / "fetch.lock", f"another fetch of {self.survey} from {self.service.name} is under way"
        ):
            for left in self.folder.glob(".*.partial.*"):  # of a fetch that was killed: nobody else writes here now
                left.unlink()
            yield

    def keep(self, asker: CutoutClient, target: Target) -> Path:
        """The object's image as a file; the one that is there already, if it is of this width and can be read.

        Raises
        ------
        NotHad
            There is no such image to be had.
        """
        stem = f"{target.object_id}_{target.width_arcsec:g}arcsec"
        width_px = self.service.width_px(target.width_arcsec)
        for path in (self.folder / f"{stem}.jpg", self.folder / f"{stem}.png"):
            if path.is_file():
                try:
                    return self._checked(path, width_px)
                except FetchFailed:
                    path.unlink()

        def store(data: bytes, suffix: str) -> Path:
            path = self.folder / f"{stem}{suffix}"
            with atomic_write(path) as temporary:
                temporary.write_bytes(data)
                self._checked(temporary, width_px)
            return path

        return asker.image(self._url(target), store)

    def _checked(self, path: Path, width_px: int | None) -> Path:
        """The path again, if its image can be read and is as wide as was asked for."""
        picture = read_picture(path, self.workspace.config.stamp_size, _MAX_PIXELS)
        if picture.reason is not None:
            raise FetchFailed(picture.reason.removeprefix(f"{path.name}: "), again=True)
        if width_px is not None and picture.width != width_px:
            raise FetchFailed(
                f"the image is {picture.width} pixels wide and not {width_px} as asked for: its scale is not known"
            )
        return path

    def _url(self, target: Target) -> str:
        return self.service.url(target.ra, target.dec, target.width_arcsec)

    def record(self) -> None:
        """Ingest what is waiting, with a table made for it."""
        if not self.waiting:
            return
        table = self.folder / "batch.csv"
        with atomic_write(table) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["object_id", "file"])
            for target, path in self.waiting:
                rows.writerow([target.object_id, path.name])
        got = ingest_images(
            self.workspace, self.folder, table, survey=self.survey, otherwise="none",
            rendering=self.service.rendering, arcsec_per_pixel=self.service.arcsec_per_pixel,
        )  # fmt: skip
        table.unlink()
        self.report.added += got.added + got.unchanged
        self.report.flagged.update(got.flagged)
        self.report.flagged_objects += len(got.flagged_files)
        self.report.rejections += got.rejections
        self.waiting.clear()

    @contextmanager
    def listing_failures(self) -> Iterator[None]:
        """Leave in `failed.csv` why objects have no image: the last reason of each, asked for this time or earlier.

        Each line is written as it happens, so that a fetch that is killed has not lost it; lines that no longer hold
        are taken out before and after.
        """
        file = self.folder / "failed.csv"
        self._tidy(file)
        yield
        self._tidy(file)

    def list_failure(self, target: Target, reason: str) -> None:
        """Report an object without an image, and list it at once."""
        file, failure = self.folder / "failed.csv", Failure(target.object_id, self._url(target), reason)
        self.report.failures.append(failure)
        self.report.failures_file = file
        if not file.exists():
            append_line(file, ",".join(_FAILED_COLUMNS))
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([failure.object_id, failure.url, failure.reason])
        append_line(file, line.getvalue())

    def _tidy(self, file: Path) -> None:
        """Keep the last line of each object that still wants an image."""
        if not file.exists():
            return
        with open(file, encoding="utf-8", errors="replace", newline="") as lines:
            last = {int(row[0]): row for row in csv.reader(lines) if len(row) == 3 and row[0].isdecimal()}
        wanting = still_without_image(self.workspace, self.survey, list(last))
        if not wanting:
            file.unlink()
            return
        with atomic_write(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(_FAILED_COLUMNS)
            rows.writerows(row for object_id, row in last.items() if object_id in wanting)
