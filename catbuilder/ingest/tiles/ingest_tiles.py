"""Cut stamps of catalogued objects from coadd tiles, batch by batch of tiles, and record them.

An ingest of a survey takes hours; if it is killed, the same command continues after what was recorded, because an
object that has a stamp is not cut again. Of an object on several tiles of a batch the best one is cut; a stamp that
lacks pixels is replaced by a better one from a later batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from catbuilder.catalogue.latest_round_and_run import last_recording
from catbuilder.catalogue.workspace import Workspace, record_rejections
from catbuilder.core.cluster import HERE, connected
from catbuilder.core.errors import InputError
from catbuilder.core.paths import named_path
from catbuilder.core.progress import Reporter
from catbuilder.core.resources import query
from catbuilder.core.safe_text import counted
from catbuilder.core.stamps import require_stamp_size
from catbuilder.core.user_csv import Rejection, list_rejections, see_the_rest, unused_columns
from catbuilder.ingest.picture import FLAGGED_STAMPS, count_flags
from catbuilder.ingest.tiles.cut_batch import BatchCutter, Counts
from catbuilder.ingest.tiles.cutting_plan import ObjectList, Widths, circles, list_objects, plan_cutting
from catbuilder.ingest.tiles.tile_file import Remark
from catbuilder.ingest.tiles.tile_folder import Tile, order_bands, read_tiles
from catbuilder.ingest.tiles.tile_sources import FetchedTiles, TileFiles, TileSource, batches, list_tiles

Progress = Callable[[int, int], None]  # (done, of)


@dataclass(frozen=True)
class TileReport:
    """Counts of an ingest of tiles.

    Attributes
    ----------
    tiles : int
        Number of usable tiles.
    added : int
        Number of objects with a good stamp.
    replaced : int
        Number of added or flagged objects whose earlier stamp lacked pixels.
    flagged : dict[str, int]
        Number of stamps by quality flag; these are kept out of training and scoring.
    flagged_objects : tuple[str, ...]
        "object_id: flags or reason", a line for each flagged object.
    unchanged : int
        Number of objects on these tiles that had a stamp; one on tiles that are read apart may count twice.
    outside : int
        Number of objects without a stamp that lie on none of these tiles.
    without_radius : int
        Number of objects cut with the default width.
    whole_cubes : tuple[str, ...]
        Cubes that became one object each.
    refused : tuple[Rejection, ...]
        Tiles and files that were left out.
    rejections : tuple[Rejection, ...]
        Rows of the table of objects that were left out.
    unused_columns : tuple[str, ...]
        Columns of the table of objects that are not used, some with a hint.
    remarks : tuple[str, ...]
        What tiles hold and the ingest does not use: extensions and files that are no known mask or weight.
    cut_before : int
        Number of tiles that an earlier call has fetched and cut, and that were not fetched again.
    given_up : str
        Why the call stopped before the last tile; empty if it did not.
    """

    tiles: int
    added: int
    replaced: int
    flagged: dict[str, int]
    flagged_objects: tuple[str, ...]
    unchanged: int
    outside: int
    without_radius: int
    whole_cubes: tuple[str, ...]
    refused: tuple[Rejection, ...]
    rejections: tuple[Rejection, ...]
    unused_columns: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    cut_before: int = 0
    given_up: str = ""

    @property
    def nothing_used(self) -> bool:
        """Whether no tile, or no row of the table of objects, could be used."""
        cut = self.added or self.flagged_objects or self.unchanged
        return not cut and bool(self.refused or self.rejections)

    def sentences(self) -> list[str]:
        """Summarise the ingest for a person, a line each."""
        cut = self.added + len(self.flagged_objects)
        lines = [
            f"{counted(cut, 'stamp')} cut from {counted(self.tiles, 'tile')}; "
            f"{counted(self.unchanged, 'object')} there had one already."
        ]
        lines += unused_columns(self.unused_columns)
        if self.cut_before:
            lines.append(f"{counted(self.cut_before, 'tile was', 'tiles were')} fetched and cut by an earlier call.")
        if not cut:
            lines.append("There is nothing to do.")
        if self.whole_cubes:
            names = ", ".join(self.whole_cubes[:10]) + (" ..." if len(self.whole_cubes) > 10 else "")
            cubes = counted(len(self.whole_cubes), "cube shows", "cubes show")
            lines.append(f"{cubes} no catalogued object; each became one object, named by its file: {names}.")
        if self.replaced:
            lines.append(f"Of them, {self.replaced:,} in place of a stamp that was masked or truncated.")
        if self.without_radius:
            objects = counted(self.without_radius, "object has", "objects have")
            lines.append(f"{objects} no radius in the catalogue and got the default width.")
        if self.outside:
            objects = counted(self.outside, "object without a stamp lies", "objects without a stamp lie")
            lines.append(f"{objects} on none of these tiles.")
        if self.flagged:
            n, flags = len(self.flagged_objects), count_flags(self.flagged)
            lines.append(
                f"{counted(n, 'stamp is', 'stamps are')} kept out of training and scoring for "
                f"{'its' if n == 1 else 'their'} quality ({flags}):"
            )
            lines += [f"  {line}" for line in self.flagged_objects[:20]]
        return lines

    def warnings(self) -> list[str]:
        """List remarks, refused tiles and rejected rows, and name the queries that show long lists in full."""
        lines = [*see_the_rest(len(self.flagged_objects), FLAGGED_STAMPS), *self.remarks[:20]]
        if len(self.remarks) > 20:
            lines.append(f"{len(self.remarks) - 20} more remarks of this kind are not shown.")
        if self.refused:
            lines.append(f"{len(self.refused)} tiles or files could not be used; the same command tries them again:")
            lines += [f"  {one.file}: {one.reason}" for one in self.refused[:20]]
            lines += see_the_rest(len(self.refused), "SELECT file, reason FROM rejections")
        if self.given_up:
            lines.append(f"Stopped before the last tile: {self.given_up}. Give the same command again later.")
        return lines + list_rejections(self.rejections)


def ingest_tiles(
    workspace: Workspace,
    tiles: str | Path | Sequence[str | Path] = (),
    *,
    survey: str,
    listed: str | Path | None = None,
    bands: str | None = None,
    size: str | None = None,
    objects: str | Path | None = None,
    strict: bool = False,
    cluster: str = "",
    progress: Progress | None = None,
    reporter: Reporter | None = None,
) -> TileReport:
    """Cut colour stamps of a survey's objects from its coadd tiles, or from cubes of bands.

    The objects are those of the catalogue that lie on a tile and have no stamp. A small cube (under 2,000 px) without a
    catalogued object becomes one object at its centre, named by the file, unless a table is given. A tile that cannot
    be used is refused and told, and the next call tries it again.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    tiles : str, Path or sequence of these
        Folders (with their subfolders), files or URLs: a file per band as DES (`..._g.fits.fz`), the Legacy Surveys
        (`...-image-g.fits.fz`) and SDSS (`frame-g-....fits.bz2`) name them, or cubes whose header names their bands.
        The files of a tile lie in one folder.
    survey : str
        Survey of the objects.
    listed : str or Path, optional
        Text file with a path or URL a line. The tiles of URLs are fetched one after another and let go once they are
        cut.
    bands : str, optional
        Three of g, r, i, z; by default `"gri"`, or `"grz"` for a cube without i.
    size : str, optional
        Width of the box in radii of the object, or `"paper"` for the boxes of Khan et al. (2019); by default the
        workspace's setting for the survey.
    objects : str or Path, optional
        CSV file with `object_id`, `ra`, `dec` (ICRS, degrees) and optionally `radius_arcsec`. Only these are cut, and
        those that the catalogue does not have are added to it.
    strict : bool
        Refuse the table of objects, and record nothing, if a row of it cannot be used; default False.
    cluster : str
        Ray cluster whose nodes share the work, as `auto`, `local`, `ray://HOST:PORT` or `HOST:PORT`; by default
        processes of this machine. The catalogue does not depend on it.
    progress : callable, optional
        Called with the numbers of stamps done and in all; the latter is an estimate until the last tiles are read.
    reporter : Reporter, optional
        Told when the cluster has no room yet; by default nothing is printed.

    Returns
    -------
    TileReport
        Numbers of stamps added, replaced, flagged and unchanged; refused tiles and rejected rows.

    Raises
    ------
    InputError
        The folder, the list, the bands, the size or the table cannot be used. Single bad tiles and rows are refused and
        reported.
    WorkspaceBusy
        Another ingest that fetches or unpacks tiles of this survey is under way.
    LaunchError, HostLost
        The cluster cannot be used, or its nodes were lost again and again; the same call goes on.

    Examples
    --------
    >>> catbuilder.ingest_tiles(workspace, "coadds/", survey="des", bands="gri").added
    """
    workspace.check_survey(survey)
    require_stamp_size(workspace.path, workspace.config.stamp_size)
    given = [tiles] if isinstance(tiles, str | Path) else list(tiles)
    wanted, widths = order_bands(bands), Widths(workspace.config.stamps, survey, size)
    sources, refused = list_tiles(given, listed)
    table = None if objects is None else named_path(objects, "the table of objects")
    ingest = _Ingest(workspace, survey, wanted, widths, list_objects(workspace, survey, table, strict), progress)
    ingest.counts.refused += refused
    with connected(cluster, (reporter or Reporter(quiet=True)).say, HERE):
        ingest.run(sources)
    report = ingest.report()
    if not (report.tiles or report.cut_before or report.given_up):
        raise InputError(_none_of(given[0] if len(given) == 1 and not listed else "the list", report.refused))
    left_out = _not_yet_recorded(workspace, [*report.refused, *report.rejections])
    if left_out:
        names = [*given, *([listed] if listed else [])]
        what = Path(names[0]).resolve().name if len(names) == 1 else f"{len(names)} names"
        with workspace.recording(f"ingest tiles {what} --survey {survey}: refused") as recording:
            record_rejections(recording, left_out)
    return report


class _Ingest:
    """Goes through all tiles, a batch at a time."""

    def __init__(
        self, workspace: Workspace, survey: str, bands: str | None, widths: Widths, listed: ObjectList,
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self._workspace, self._survey, self._bands, self._widths = workspace, survey, bands, widths
        self._listed, self._progress = listed, progress
        folder = workspace.path / "fetched" / survey / "tiles"
        self._files, self._fetched = TileFiles(folder, survey), FetchedTiles(folder)
        self.counts = Counts()
        self._remarks: dict[Remark, list[str]] = {}
        self._whole_cubes: list[str] = []
        self._tiles = self._cut_before = self._fresh = self._added = self._without_radius = 0
        self._done = self._planned = self._left = 0

    def run(self, sources: list[TileSource]) -> None:
        """Cut every tile that is not known to have been cut."""
        with self._files.locked(sources):
            new = self._not_cut_yet(sources)
            self._cut_before, self._left = len(sources) - len(new), len(new)
            for batch in batches(new):
                self._left -= len(batch)
                with self._files.here(batch, self.counts.refused) as brought:
                    self._cut(batch, brought)
                if self._files.given_up:
                    break

    def _not_cut_yet(self, sources: list[TileSource]) -> list[TileSource]:
        """Leave out the tiles that were fetched and cut, unless objects that may lie on them were recorded since."""
        known = [(source, there) for source in sources if (there := self._fetched.circles(source)) is not None]
        rows = [{"tile": n, **circle} for n, (_, there) in enumerate(known) for circle in there]
        again: set[int] = set()
        if rows:
            with self._workspace.reading() as con:
                con.register("circles", pa.Table.from_pylist(rows))
                found = con.execute(query("ingest/circles_with_new_objects"), {"survey": self._survey}).fetchall()
            again = {number for (number,) in found}
        done = {source.files for number, (source, _) in enumerate(known) if number not in again}
        return [source for source in sources if source.files not in done]

    def _cut(self, batch: list[TileSource], brought: list[list[Path]]) -> None:
        tiles: list[Tile] = []
        of: list[int] = []  # the number of each tile's source
        bad = set[int]()
        for number, (source, files) in enumerate(zip(batch, brought, strict=True)):
            found, refused = read_tiles(files, self._survey, self._bands, self._workspace.config.limits)
            tiles += [self._named_as_given(tile) for tile in found]
            of += [number] * len(found)
            self.counts.refused += [self._files.named_as_given(one, source) for one in refused]
            if refused or len(files) < len(source.files):
                bad.add(number)
        for tile in tiles:
            for remark in tile.remarks:
                self._remarks.setdefault(remark, []).append(tile.name)
        self._tiles += len(tiles)
        plan = plan_cutting(self._workspace, tiles, self._survey, self._widths, self._listed) if tiles else None
        if plan is not None:
            self._planned += int((plan.rank == 0).sum())
            self.counts.unchanged += plan.unchanged
            self.counts.refused += plan.refused
            self._fresh, self._added = self._fresh + plan.fresh, self._added + plan.added
            self._without_radius += plan.without_radius
            self._whole_cubes += plan.whole_cubes
            cutter = BatchCutter(self._workspace, tiles, plan, self._survey, self.counts, self._tell)
            bad |= {of[number] for number in cutter.cut()}
        for number, source in enumerate(batch):
            if source.is_remote and number not in bad:
                self._note(source, [tile for k, tile in enumerate(tiles) if of[k] == number])

    def _note(self, source: TileSource, tiles: list[Tile]) -> None:
        with self._workspace.reading() as con:
            run = last_recording(con)
        self._fetched.note(source, [{**row, "run": run} for row in circles(tiles).drop_columns("tile").to_pylist()])

    def _named_as_given(self, tile: Tile) -> Tile:
        origins = self._files.origins
        return replace(tile, planes=tuple(replace(p, origin=origins.get(p.path, "")) for p in tile.planes))

    def _tell(self, done: int) -> None:
        """Tell how many objects were done, and of how many, as far as one knows before the last tiles are read."""
        self._done += done
        if self._progress:
            read = max(self._tiles, 1)
            self._progress(self._done, max(self._done, self._planned + round(self._planned / read * self._left)))

    def report(self) -> TileReport:
        """Sum up."""
        counts, listed = self.counts, self._listed
        outside = max(listed.waiting + self._added - self._fresh, 0)
        return TileReport(
            self._tiles, counts.added, counts.replaced, counts.flags(),
            tuple(line for _, line in counts.flagged.values()), counts.unchanged, outside, self._without_radius,
            tuple(sorted(self._whole_cubes)), tuple(counts.refused), listed.rejections, listed.unused_columns,
            _remarks(self._remarks), self._cut_before, self._files.given_up,
        )  # fmt: skip


def _none_of(where: str | Path, refused: Sequence[Rejection]) -> str:
    reasons = [f"{Path(one.file).name}: {one.reason}" for one in refused]
    if len(reasons) == 1:
        return f"none of the 1 tiles in {where} can be used; {reasons[0]}"
    more = [f"and {len(reasons) - 20} more"] if len(reasons) > 20 else []
    return "\n  ".join([f"none of the {len(reasons)} tiles and files in {where} can be used:", *reasons[:20], *more])


def _remarks(of: dict[Remark, list[str]]) -> tuple[str, ...]:
    """Say once, with the names of the tiles, what they hold and nobody uses."""
    return tuple(
        f"{remark.what[0].upper()}{remark.what[1:]} of {'tile' if len(names) == 1 else 'tiles'} {', '.join(names[:10])}"
        f"{f' and {len(names) - 10} more' if len(names) > 10 else ''} {remark.reason}."
        for remark, names in of.items()
    )


def _not_yet_recorded(workspace: Workspace, rejections: list[Rejection]) -> list[Rejection]:
    if not rejections:
        return []
    with workspace.reading() as con:
        known = con.execute(
            query("ingest/earlier_tile_rejections"), {"files": [one.file for one in rejections]}
        ).fetchall()
    return [one for one in rejections if (one.file, one.row, one.object_id, one.reason) not in set(known)]
