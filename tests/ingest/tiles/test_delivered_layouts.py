"""Tiles in the layouts in which DES, the Legacy Surveys and SDSS deliver them, and the ways to name many of them."""

import bz2
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from support.new_workspace import create_workspace
from support.workspaces import ask, cli, failed, write_csv

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.ingest.fetch.polite_client import CutoutClient, RatePolicy
from catbuilder.ingest.tiles import tile_sources
from catbuilder.ingest.tiles.ingest_tiles import TileReport, ingest_tiles
from catbuilder.ingest.tiles.tile_names import plain_stem, tile_of

SIDE = 200
GALAXIES = {1: (60.3, 60.0), 2: (140.0, 120.4)}  # x, y in the band r


def sky(ra: float = 30.0, shift: tuple[float, float] = (0.0, 0.0), scale: float = 0.263) -> WCS:
    """The projection of a tile; `shift` moves its sky by so many pixels."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cunit, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], ["deg", "deg"], [ra, -1.0]
    wcs.wcs.crpix = [(SIDE + 1) / 2 + shift[0], (SIDE + 1) / 2 + shift[1]]
    wcs.wcs.cd = np.array([[-1, 0], [0, 1]]) * scale / 3600
    return wcs


def image(seed: int, shift: tuple[float, float] = (0.0, 0.0), counts: float = 400.0) -> np.ndarray:
    y, x = np.indices((SIDE, SIDE))
    light = sum(
        counts * np.exp(-np.hypot(x - left - shift[0], y - up - shift[1]) / 4) for left, up in GALAXIES.values()
    )
    return (np.random.default_rng(seed).normal(0, counts / 200, (SIDE, SIDE)) + light).astype(np.float32)


def des(folder: Path, tile: str = "DES0000-0001_r2590p01", ra: float = 30.0, core: int = 0) -> None:
    """IMAGE, MASK and WEIGHT in one compressed file a band; `core` marks the middle of galaxy 1 in the mask."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, band in enumerate("gri"):
        header = sky(ra).to_header()
        header["MAGZERO"], header["BAND"] = 30.0, band
        mask = np.zeros((SIDE, SIDE), np.int32)
        mask[55:66, 55:66] = core
        layers = {"IMAGE": image(seed), "MASK": mask, "WEIGHT": np.ones((SIDE, SIDE), np.float32)}
        hdus = [fits.CompImageHDU(data, header, name=name) for name, data in layers.items()]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(folder / f"{tile}_{band}.fits.fz")


def brick(folder: Path) -> None:
    """An image and an inverse variance a band, bits for the brick, and maps that are not used."""
    folder.mkdir(parents=True)
    header = sky(scale=0.262).to_header()
    header.update(SURVEY="LegacySurvey", BUNIT="nanomaggy", MAGZERO=22.5)
    bits = np.zeros((SIDE, SIDE), np.int16)
    bits[55:66, 55:66] = 1 << 3  # saturated in r
    bits[115:126, 135:146] = 1 << 12  # on a large galaxy: nothing bad
    layers = {"maskbits": ("MASKBITS", bits)}
    for seed, band in enumerate("grz"):
        layers[f"image-{band}"] = "", image(seed, counts=4.0)
        layers[f"invvar-{band}"] = "", np.ones((SIDE, SIDE), np.float32)
        layers[f"nexp-{band}"] = "", np.full((SIDE, SIDE), 3, np.int16)
    for word, (name, data) in layers.items():
        hdu = fits.CompImageHDU(data, header, name=name)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / f"legacysurvey-0300m010-{word}.fits.fz")


SHIFTS = {"g": (3.4, -2.3), "r": (0.0, 0.0), "i": (-1.7, 4.6)}


def frame(folder: Path, field: str = "002709-2-0117") -> None:
    """Nanomaggies packed by bzip2, each band in a file of its own and shifted, with the tables behind the image."""
    folder.mkdir(parents=True)
    for seed, (band, shift) in enumerate(SHIFTS.items()):
        header = sky(shift=shift, scale=0.396).to_header()
        header.update(FILTER=band, BUNIT="nanomaggy", SURVEY="sdss", RUN=2709, CAMCOL=2)
        rows = fits.BinTableHDU.from_columns([fits.Column("ALLSKY", "E", array=np.ones(3, np.float32))])
        hdus = [fits.PrimaryHDU(image(seed, shift, 4.0), header), fits.ImageHDU(np.ones(SIDE, np.float32)), rows]
        plain = folder / f"frame-{band}-{field}.fits"
        fits.HDUList(hdus).writeto(plain)
        Path(f"{plain}.bz2").write_bytes(bz2.compress(plain.read_bytes()))
        plain.unlink()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = create_workspace(tmp_path / "ws")
    with open(made.path / "catbuilder.toml", "a", encoding="utf-8") as file:
        file.write('\n[surveys.decals]\nrelease = "DR10"\n')
    return Workspace.open(made.path)


def objects(path: Path, scale: float = 0.263, ras: tuple[float, ...] = (30.0,)) -> Path:
    rows = []
    for number, ra in enumerate(ras):
        for object_id, (x, y) in GALAXIES.items():
            place = sky(ra, scale=scale).pixel_to_world_values(x, y)
            rows.append((10 * number + object_id, *map(float, place), 4.0))
    return write_csv(path, ("object_id", "ra", "dec", "radius_arcsec"), *rows)


def qualities(workspace: Workspace) -> list[tuple[int, str]]:
    return ask(workspace, "SELECT object_id, quality FROM standing_stamps_at() ORDER BY object_id")


def pixels(workspace: Workspace) -> dict[int, np.ndarray]:
    rows = ask(workspace, "SELECT object_id, shard, row FROM standing_stamps_at() ORDER BY object_id")
    return {object_id: np.load(workspace.path / shard)[row] for object_id, shard, row in rows}


# --- layouts


@pytest.mark.parametrize(
    ("name", "stem", "tile"),
    [
        ("DES0000-0001_r2590p01_g.fits.fz", "DES0000-0001_r2590p01_g", "DES0000-0001_r2590p01"),
        ("legacysurvey-0001m002-image-g.fits.fz", "legacysurvey-0001m002_g", "legacysurvey-0001m002"),
        ("legacysurvey-0001m002-invvar-g.fits.fz", "legacysurvey-0001m002-invvar_g", "legacysurvey-0001m002"),
        ("legacysurvey-0001m002-maskbits.fits.fz", "legacysurvey-0001m002-maskbits", "legacysurvey-0001m002"),
        ("frame-g-002709-2-0117.fits.bz2", "frame-002709-2-0117_g", "frame-002709-2-0117"),
        ("T_image_g.fits", "T_image_g", "T"),
        ("T_invvar_g.fits", "T_invvar_g", "T"),
        ("T_g.mask.fits", "T_g.mask", "T"),
        ("J0120.FITS", "J0120", "J0120"),
    ],
)
def test_names_as_delivered(name: str, stem: str, tile: str) -> None:
    assert (plain_stem(name), tile_of(name)) == (stem, tile)


def test_a_tile_of_des_uses_the_mask_and_the_weight_in_its_file(workspace: Workspace, tmp_path: Path) -> None:
    des(tmp_path / "t" / "DES0000-0001", core=1)
    report = ingest_tiles(workspace, tmp_path / "t", survey="des", objects=objects(tmp_path / "o.csv"))
    assert (report.tiles, report.refused) == (1, ())
    assert qualities(workspace) == [(1, "masked"), (2, "ok")]
    assert "is read as that of DES" in report.remarks[0]


def test_a_brick_uses_the_bits_and_the_inverse_variance_beside_its_images(workspace: Workspace, tmp_path: Path) -> None:
    brick(tmp_path / "coadd" / "030" / "0300m010")
    table = objects(tmp_path / "o.csv", scale=0.262)
    report = ingest_tiles(workspace, tmp_path / "coadd", survey="decals", bands="grz", objects=table)
    assert (report.tiles, report.refused) == (1, ())
    assert qualities(workspace) == [(1, "masked"), (2, "ok")]
    assert "NEXP" in report.remarks[0] and len(report.remarks) == 1


def test_the_shifted_bands_of_an_sdss_frame_are_cut_each_by_its_own_coordinates(
    workspace: Workspace, tmp_path: Path
) -> None:
    frame(tmp_path / "301" / "2709" / "2")
    table = objects(tmp_path / "o.csv", scale=0.396)
    report = ingest_tiles(workspace, tmp_path / "301", survey="sdss", objects=table)
    assert (report.tiles, report.added, report.refused) == (1, 2, ())
    ((files,),) = ask(workspace, "SELECT DISTINCT file FROM stamps")
    assert [Path(file).name for file in files.split(", ")] == [f"frame-{b}-002709-2-0117.fits.bz2" for b in "gri"]
    for stamp in pixels(workspace).values():
        for colour in range(3):  # each in the middle: a shift of a pixel of the frame would be 1.8 here
            light = np.maximum(stamp[..., colour].astype(float) - 60, 0)
            middle = np.arange(64) - 31.5
            centre = (light.sum(0) * middle).sum() / light.sum(), (light.sum(1) * middle).sum() / light.sum()
            assert np.hypot(*centre) < 0.4
    assert not list((workspace.path / "fetched").rglob("*.fits")), "unpacked frames are let go"


def test_a_frame_that_cannot_be_unpacked_is_refused_and_tried_again(workspace: Workspace, tmp_path: Path) -> None:
    frame(tmp_path / "t" / "a")
    frame(tmp_path / "t" / "b", "002709-2-0118")
    bad = tmp_path / "t" / "b" / "frame-r-002709-2-0118.fits.bz2"
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    table = objects(tmp_path / "o.csv", scale=0.396)
    refused = {Path(one.file).name: one.reason for one in _ingest(workspace, tmp_path / "t", table).refused}
    assert "it cannot be unpacked" in refused[bad.name]
    bad.write_bytes(whole)
    assert _ingest(workspace, tmp_path / "t", table).tiles == 2


def _ingest(workspace: Workspace, folder: Path, table: Path) -> TileReport:
    return ingest_tiles(workspace, folder, survey="sdss", objects=table)


# --- many tiles


def three(folder: Path) -> tuple[float, ...]:
    """Three tiles of DES in folders of their own."""
    ras = (30.0, 30.1, 30.2)
    for number, ra in enumerate(ras):
        des(folder / f"{number}", f"DES000{number}-0001", ra)
    return ras


def test_a_folder_files_and_a_list_of_them_give_the_same_stamps_in_one_batch_and_in_several(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = objects(tmp_path / "o.csv", ras=three(tmp_path / "t"))
    files = sorted((tmp_path / "t").rglob("*.fz"))
    listed = tmp_path / "tiles.txt"
    listed.write_text("# ours\n\n" + "".join(f"{file}\n" for file in files))
    said = cli("-w", workspace.path, "ingest", "tiles", "--list", listed, "--survey", "des", "--objects", table)
    assert "6 stamps cut from 3 tiles" in said.out, said
    whole = pixels(workspace)
    monkeypatch.setattr(tile_sources, "TOGETHER", 1)
    monkeypatch.setattr(tile_sources, "TOGETHER_BYTES", 1)
    for name, given in (("folder", [tmp_path / "t"]), ("files", files)):
        other = create_workspace(tmp_path / name)
        report = ingest_tiles(other, given, survey="des", objects=table)
        assert (report.tiles, report.added, report.unchanged, report.outside) == (3, 6, 0, 0)
        assert ask(other, "SELECT count(DISTINCT run) FROM stamps") == [(3,)], "one transaction a batch"
        found = pixels(other)
        assert all((found[number] == whole[number]).all() for number in whole)
        again = ingest_tiles(other, given, survey="des", objects=table)
        assert (again.added, again.unchanged) == (0, 6)
        assert cli("-w", other.path, "check").code == 0


def test_what_is_wrong_with_single_files_is_told_and_the_others_load(workspace: Workspace, tmp_path: Path) -> None:
    three(tmp_path / "t")
    (tmp_path / "t" / "1" / "DES0001-0001_r.fits.fz").write_bytes(b"nothing")
    (tmp_path / "t" / "2" / "DES0002-0001_i.fits.fz").unlink()
    (tmp_path / "notes.txt").write_text("text")
    listed = tmp_path / "tiles.txt"
    lines = [*(tmp_path / "t").rglob("*.fz"), tmp_path / "nowhere_g.fits", tmp_path / "notes.txt"]
    listed.write_text("".join(f"{line}\n" for line in lines))
    table = objects(tmp_path / "o.csv")
    told = cli("-w", workspace.path, "ingest", "tiles", "--list", listed, "--survey", "des", "--objects", table)
    assert told.code == 0 and "2 stamps cut from 1 tile;" in told.out
    for words in (
        "4 tiles or files could not be used; the same command tries them again:", "DES0001-0001_r.fits.fz: it cannot",
        "DES0002-0001: band i is missing", "nowhere_g.fits: there is no such file", "notes.txt: its name does not end",
    ):  # fmt: skip
        assert words in told.err


def test_a_list_that_names_nothing_and_no_tiles_at_all_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")
    command = ("-w", workspace.path, "ingest", "tiles", "--survey", "des")
    failed(cli(*command, "--list", tmp_path / "empty.txt"), "names no file")
    failed(cli(*command, "--list", tmp_path / "none.txt"), "cannot be read")
    failed(cli(*command), "no tiles were given")
    with pytest.raises(InputError, match="there is no folder or file"):
        ingest_tiles(workspace, tmp_path / "none", survey="des")


# --- tiles of URLs


class _Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path.rpartition("/")[2])
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def archive(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder; gives the URL, and the names of the files asked for."""
    asked: list[str] = []
    handler = partial(type("Handler", (_Quiet,), {"asked": asked}), directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_tiles_of_urls_are_fetched_cut_let_go_and_fetched_again_only_for_new_objects(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_sources, "polite_client", lambda: CutoutClient(RatePolicy(1000, backoff_s=0.01)))
    ras = three(tmp_path / "t")
    missing = tmp_path / "t" / "2" / "DES0002-0001_g.fits.fz"
    missing.rename(tmp_path / "later")
    table = objects(tmp_path / "o.csv", ras=ras)
    with archive(tmp_path / "t") as (url, asked):
        urls = [f"{url}/{n}/DES000{n}-0001_{band}.fits.fz" for n in range(3) for band in "gri"]
        (tmp_path / "urls.txt").write_text("\n".join(urls))
        call = partial(ingest_tiles, workspace, survey="des", listed=tmp_path / "urls.txt")
        report = call(objects=table)
        assert (report.tiles, report.added) == (2, 4)
        assert [(one.file, "404" in one.reason) for one in report.refused] == [(urls[6], True)]
        assert ask(workspace, "SELECT file FROM stamps WHERE object_id = 1") == [(", ".join(urls[:3]),)]
        assert not list((workspace.path / "fetched").rglob("*.fz"))
        asked.clear()
        missing.parent.joinpath(missing.name).write_bytes((tmp_path / "later").read_bytes())
        report = call(objects=table)
        assert (report.added, report.cut_before) == (2, 2)
        assert asked == [f"DES0002-0001_{band}.fits.fz" for band in "gri"], "only what is new is fetched"
        asked.clear()
        assert call(objects=table).cut_before == 3 and not asked
        place = tuple(map(float, sky(ras[1]).pixel_to_world_values(100, 60)))
        more = write_csv(tmp_path / "more.csv", ("object_id", "ra", "dec"), (99, *place))
        report = call(objects=more)
        assert (report.added, report.cut_before) == (1, 2) and asked[0].startswith("DES0001")


def test_a_service_that_is_down_ends_the_call(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = RatePolicy(1000, tries=1, give_up_after=2)
    monkeypatch.setattr(tile_sources, "polite_client", lambda: CutoutClient(policy))
    with archive(tmp_path) as (url, _):
        pass  # and gone
    (tmp_path / "urls.txt").write_text("\n".join(f"{url}/T{n}_g.fits" for n in range(5)))
    report = ingest_tiles(workspace, survey="des", listed=tmp_path / "urls.txt")
    assert len(report.refused) == 2 and "does not answer" in report.given_up
    assert any("Stopped before the last tile" in line for line in report.warnings())
