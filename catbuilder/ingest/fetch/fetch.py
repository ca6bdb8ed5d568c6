"""Fetch missing images from a cut-out service and ingest them.

An archive's image service is shared by many people, so there is one request at a time, at a limited rate. A thousand
images take eight minutes; parallel requests would take one minute and get users blocked. Files are kept as received,
in `fetched/<survey>/<service>/`, complete or not at all, and recorded in batches. A fetch that was stopped never
requests again what it has.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.arguments import require_number_in, require_pixel_scale
from catbuilder.core.cluster import HERE, connected
from catbuilder.core.files import append_line, atomic_write, exclusive_lock
from catbuilder.core.progress import Reporter
from catbuilder.core.safe_text import counted
from catbuilder.core.user_csv import Rejection, list_rejections
from catbuilder.ingest.fetch.cutout_services import Service, find_service
from catbuilder.ingest.fetch.missing_images import Target, objects_without_image, still_without_image
from catbuilder.ingest.fetch.polite_client import CutoutClient, FetchFailed, RatePolicy
from catbuilder.ingest.images import Progress, ingest_images
from catbuilder.ingest.picture import count_flags, read_picture

# No cut-out service draws more; a 60 kB PNG may decompress to gigabytes.
_MAX_PIXELS = 4096**2
_FAILED_COLUMNS = ("object_id", "url", "reason")


@dataclass(frozen=True)
class Failure:
    """An object whose image could not be fetched.

    Attributes
    ----------
    object_id : int
        Id of the object.
    url : str
        Address that was requested.
    reason : str
        Why it failed.
    """

    object_id: int
    url: str
    reason: str


@dataclass(frozen=True)
class FetchReport:
    """Counts of a fetch; every object without an image is in exactly one of them.

    Attributes
    ----------
    wanted : int
        Number of objects without an image.
    added : int
        Number of objects with a good stamp.
    flagged : dict[str, int]
        Number of stamps by quality flag; these are kept out of training and scoring.
    flagged_objects : int
        Number of objects with such a stamp.
    failures : tuple[Failure, ...]
        Objects whose image could not be fetched.
    failures_file : Path or None
        File that lists the failures, if there is one.
    rejections : tuple[Rejection, ...]
        Objects that got an image from elsewhere meanwhile.
    given_up : str or None
        Why the fetch ended before the last object.
    """

    wanted: int
    added: int
    flagged: dict[str, int]
    flagged_objects: int
    failures: tuple[Failure, ...]
    failures_file: Path | None
    rejections: tuple[Rejection, ...]
    given_up: str | None

    @property
    def unasked(self) -> int:
        """Objects not requested because the service was down or asked for a pause."""
        return self.wanted - self.added - self.flagged_objects - len(self.failures) - len(self.rejections)

    def sentences(self) -> list[str]:
        """Summarise the fetch for a person, a line each."""
        if not self.wanted:
            return ["Nothing to fetch: every object that has a position and meets the condition has an image."]
        lines = [f"{self.added} of {self.wanted} images fetched and ingested."]
        if self.flagged:
            counts = count_flags(self.flagged)
            lines.append(
                f"{self.flagged_objects} more are kept out of training and scoring for their quality ({counts})."
            )
        return lines

    def warnings(self) -> list[str]:
        """List rejected rows and failed objects, and say why the fetch ended early."""
        lines = list_rejections(self.rejections)
        if self.failures:
            lines.append(f"{len(self.failures)} could not be fetched; give the same command again to retry them:")
            lines += [f"  {failure.object_id}: {failure.reason}" for failure in self.failures[:20]]
        if len(self.failures) > 20:
            lines.append(f"  ... and {len(self.failures) - 20} more; {self.failures_file} lists them all")
        if self.given_up and self.unasked:
            lines.append(f"Stopped before {counted(self.unasked, 'object')}: {self.given_up}. Try again later.")
        return lines


def fetch(
    workspace: Workspace,
    survey: str,
    service: str | None = None,
    *,
    where: str | None = None,
    n: int | None = None,
    width_arcsec: float | None = None,
    arcsec_per_pixel: float | None = None,
    policy: RatePolicy | None = None,
    cluster: str = "",
    progress: Progress | None = None,
    reporter: Reporter | None = None,
) -> FetchReport:
    """Fetch and ingest an image of every object of a survey that has a position and no readable stamp.

    Test objects are among them. An object without a split gets `none`: it will be scored, but neither trained on nor
    promoted. An image without a source (outside the footprint) is flagged like any other. A stamp that was cut from
    tiles and lacks pixels (`masked`, `truncated`) does not count, and is replaced.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    survey : str
        Survey of the objects.
    service : str, optional
        Cut-out service: `"sdss"`, `"des"`, `"decals"`, or a URL with the fields {ra} and {dec} (ICRS, degrees) and
        {size} (arcsec) or {pixels}; by default the service with the survey's name.
    where : str, optional
        SQL condition on the columns of the view `catalog`; by default all objects.
    n : int, optional
        Largest number of objects to fetch, in order of object_id; by default all.
    width_arcsec : float, optional
        Width of every image in arcsec; by default from each object's radius.
    arcsec_per_pixel : float, optional
        Pixel scale of the images in arcsec; by default the service's own. A URL with {pixels} or {scale} needs one.
    policy : RatePolicy, optional
        Limits on rate, time and size of the requests; by default two requests a second.
    cluster : str
        Ray cluster whose nodes decode the images, as `auto`, `local`, `ray://HOST:PORT` or `HOST:PORT`; by default this
        machine. The requests are always sent from here, one at a time.
    progress : callable, optional
        Called with the numbers of objects done and in all.
    reporter : Reporter, optional
        Told when the cluster has no room yet; by default nothing is printed.

    Returns
    -------
    FetchReport
        Numbers of objects without an image, with a new good stamp and with a flagged one; failures and rejections.

    Raises
    ------
    InputError
        The workspace has no such survey, or there is no such service.
    QueryError
        The condition is not valid.
    WorkspaceBusy
        Another fetch of this survey from this service is under way.
    LaunchError, HostLost
        The cluster cannot be used, or its nodes were lost again and again; the same call goes on.

    Examples
    --------
    >>> catbuilder.fetch(workspace, "des", n=100, where="mag_r < 17").sentences()
    """
    policy = policy or RatePolicy()
    require_number_in(policy.rate_per_s, 0.001, 1e6, "the number of requests per second")
    require_pixel_scale(arcsec_per_pixel, "arcsec_per_pixel")
    chosen = find_service(service or survey, arcsec_per_pixel)
    targets = objects_without_image(workspace, survey, where=where, n=n, width_arcsec=width_arcsec)
    batches = _Batches(workspace, survey, chosen, cluster, reporter)
    if not targets:
        return batches.report(0, None)
    down, given_up = 0, None
    say = (reporter or Reporter(quiet=True)).say
    with (
        batches.locked(), batches.listing_failures(), CutoutClient(policy) as client, connected(cluster, say, HERE)
    ):  # fmt: skip
        for done, target in enumerate(targets, start=1):
            try:
                batches.waiting.append((target, batches.keep(client, target)))
                down = 0
            except FetchFailed as failed:
                batches.list_failure(target, failed.reason)
                down = down + 1 if failed.service_is_down else 0
                if failed.come_back_later or down >= policy.give_up_after:
                    given_up = failed.reason
                    break
            if len(batches.waiting) >= policy.batch:
                batches.record()
            if progress:
                progress(done, len(targets))
        batches.record()
    return batches.report(len(targets), given_up)


@dataclass
class _Batches:
    """Keeps images as files, and ingests them a batch at a time."""

    workspace: Workspace
    survey: str
    service: Service
    cluster: str
    reporter: Reporter | None
    waiting: list[tuple[Target, Path]] = field(default_factory=list)
    added: int = 0
    flagged: Counter[str] = field(default_factory=Counter)
    flagged_objects: int = 0
    failures: list[Failure] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.workspace.path / "fetched" / self.survey / self.service.folder

    @property
    def failures_file(self) -> Path:
        return self.folder / "failed.csv"

    def report(self, wanted: int, given_up: str | None) -> FetchReport:
        return FetchReport(
            wanted, self.added, dict(self.flagged), self.flagged_objects, tuple(self.failures),
            self.failures_file if self.failures else None, tuple(self.rejections), given_up,
        )  # fmt: skip

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder: two fetches at once would share one list of failures and double the request rate."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(
            self.folder / "fetch.lock", f"another fetch of {self.survey} from {self.service.name} is under way"
        ):
            for left in self.folder.glob(
                ".*.partial.*"
            ):  # of a fetch that was killed; the lock says that no other one runs
                left.unlink()
            yield

    def keep(self, client: CutoutClient, target: Target) -> Path:
        """Fetch the object's image into a file, unless a readable one of this width is there already.

        Raises
        ------
        FetchFailed
            The image could not be fetched.
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

        return client.image(self._url(target), store)

    def _checked(self, path: Path, width_px: int | None) -> Path:
        """Return the path if its image can be read and has the requested width."""
        picture = read_picture(path, self.workspace.config.stamp_size, _MAX_PIXELS)
        if picture.reason is not None:
            raise FetchFailed(picture.reason.removeprefix(f"{path.name}: "), again=True)
        if width_px is not None and picture.width != width_px:
            raise FetchFailed(
                f"the image is {picture.width} pixels wide instead of {width_px}, so that its pixel scale is unknown"
            )
        return path

    def _url(self, target: Target) -> str:
        return self.service.url(target.ra, target.dec, target.width_arcsec)

    def record(self) -> None:
        """Ingest the waiting images, by a table made for them."""
        if not self.waiting:
            return
        table = self.folder / "batch.csv"
        with atomic_write(table) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["object_id", "file"])
            for target, path in self.waiting:
                rows.writerow([target.object_id, path.name])
        got = ingest_images(
            self.workspace, self.folder, table, survey=self.survey, default_split="none",
            rendering=self.service.rendering, arcsec_per_pixel=self.service.arcsec_per_pixel,
            cluster=self.cluster, reporter=self.reporter,
        )  # fmt: skip
        table.unlink()
        self.added += got.added + got.unchanged
        self.flagged.update(got.flagged)
        self.flagged_objects += len(got.flagged_files)
        self.rejections += got.rejections
        self.waiting.clear()

    @contextmanager
    def listing_failures(self) -> Iterator[None]:
        """Keep `failed.csv`: objects without an image, with the last reason of each, from this fetch or earlier ones.

        Each line is written at once, so that a kill loses none. Lines of objects that have got an image are removed
        before and after.
        """
        self._remove_old_failures()
        yield
        self._remove_old_failures()

    def list_failure(self, target: Target, reason: str) -> None:
        """Count a failed object, and write it to `failed.csv` at once."""
        file, failure = self.failures_file, Failure(target.object_id, self._url(target), reason)
        self.failures.append(failure)
        if not file.exists():
            append_line(file, ",".join(_FAILED_COLUMNS))
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([failure.object_id, failure.url, failure.reason])
        append_line(file, line.getvalue())

    def _remove_old_failures(self) -> None:
        """Keep the last line of each object that still has no image."""
        file = self.failures_file
        if not file.exists():
            return
        with open(file, encoding="utf-8", errors="replace", newline="") as lines:
            last = {int(row[0]): row for row in csv.reader(lines) if len(row) == 3 and row[0].isdecimal()}
        still_missing = still_without_image(self.workspace, self.survey, list(last))
        if not still_missing:
            file.unlink()
            return
        with atomic_write(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(_FAILED_COLUMNS)
            rows.writerows(row for object_id, row in last.items() if object_id in still_missing)
