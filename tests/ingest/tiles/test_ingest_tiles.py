"""`ingest tiles`: which object is cut from which tile, how wide, what is recorded, and what is refused."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from support.coadd_tile import TileGalaxy, draw_planes, place_galaxies, tile_wcs, write_tile
from support.new_workspace import create_workspace
from support.workspaces import ask, cli, failed, write_csv

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.ingest.tiles.ingest_tiles import TileReport, ingest_tiles
from catbuilder.ingest.tiles.rendering import PEDESTAL

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "decals_fits"
SIDE, COUNT = 1000, 36
KRON_RADII = 2.5  # half-light radii in a radius of the catalogue


@pytest.fixture(scope="session")
def galaxies() -> list[TileGalaxy]:
    return place_galaxies(SIDE, COUNT, seed=5)


@pytest.fixture(scope="session")
def planes(galaxies: list[TileGalaxy]) -> np.ndarray:
    return draw_planes(SIDE, galaxies, seed=5)


@pytest.fixture(scope="session")
def made_tile(planes: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tile of three files with mask and weight; copy it, do not change it."""
    folder = tmp_path_factory.mktemp("tiles")
    write_tile(folder, "SIM0001-0001", planes, tile_wcs(SIDE))
    return folder


@pytest.fixture
def tile(made_tile: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_tile, tmp_path / "tile"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = create_workspace(tmp_path / "ws")
    with open(made.path / "catbuilder.toml", "a", encoding="utf-8") as file:
        file.write('\n[surveys.decals]\nrelease = "DR3"\n')
    return Workspace.open(made.path)


@pytest.fixture
def table(galaxies: list[TileGalaxy], tmp_path: Path) -> Path:
    rows = [(g.object_id, g.ra, g.dec, KRON_RADII * g.galaxy.radius_arcsec) for g in galaxies]
    return write_csv(tmp_path / "objects.csv", ("object_id", "ra", "dec", "radius_arcsec"), *rows)


@pytest.fixture
def catalogued(workspace: Workspace, galaxies: list[TileGalaxy]) -> Workspace:
    """The workspace with the tile's galaxies in its catalogue, as DES would list them, and none of their images."""
    add_objects(workspace, [(g.object_id, g.ra, g.dec, KRON_RADII * g.galaxy.radius_arcsec) for g in galaxies])
    return workspace


def add_objects(
    workspace: Workspace, rows: list[tuple[int, float | None, float | None, float | None]], survey: str = "des"
) -> None:
    with workspace.recording("objects") as recording:
        recording.con.executemany(
            "INSERT INTO objects (survey, object_id, ra, dec, radius_arcsec, origin, round, run) "
            "VALUES (?, ?, ?, ?, ?, 'des', ?, ?)",
            [(survey, *row, recording.round, recording.run) for row in rows],
        )


def stamps_of(workspace: Workspace) -> dict[int, np.ndarray]:
    rows = ask(workspace, "SELECT object_id, shard, row FROM standing_stamps_at() ORDER BY object_id")
    return {object_id: np.load(workspace.path / shard)[row] for object_id, shard, row in rows}


def test_every_galaxy_of_the_catalogue_gets_a_stamp_centred_on_it(
    catalogued: Workspace, tile: Path, galaxies: list[TileGalaxy]
) -> None:
    report = ingest_tiles(catalogued, tile, survey="des")
    assert (report.added, report.flagged, report.outside, report.refused) == (COUNT, {}, 0, ())
    stamps = stamps_of(catalogued)
    widths = dict(ask(catalogued, "SELECT object_id, width_px FROM stamps"))
    for one in galaxies:
        if one.galaxy.label == "elliptical":  # a spiral's own arms pull its light off its centre
            shift = np.hypot(*light_centre(stamps[one.object_id])) * widths[one.object_id] / 64
            assert shift < 0.1, one.object_id  # px of the tile


def light_centre(stamp: np.ndarray) -> tuple[float, float]:
    light = np.maximum(stamp.mean(axis=-1) - PEDESTAL - 20, 0)
    middle = np.arange(len(light)) - (len(light) - 1) / 2
    return float((light.sum(axis=0) * middle).sum() / light.sum()), float(
        (light.sum(axis=1) * middle).sum() / light.sum()
    )


def test_what_is_recorded_says_where_it_came_from_and_how_it_was_made(catalogued: Workspace, tile: Path) -> None:
    ingest_tiles(catalogued, tile, survey="des")
    rows = ask(catalogued, "SELECT DISTINCT file, rendering, arcsec_per_pixel, quality, reason FROM stamps")
    ((files, rendering, scale, quality, reason),) = rows
    assert files == ", ".join(str(tile / f"SIM0001-0001_{band}.fits") for band in "gri")
    assert rendering == "tiles/des/gri lupton Q=8 stretch=4 nanomaggy/arcsec2 width=2.25 radii"
    assert (round(scale, 3), quality, reason) == (0.263, "ok", None)
    assert ask(catalogued, "SELECT DISTINCT split FROM splits") == [("pool",)]
    assert ask(catalogued, "SELECT sum(stamps) FROM shards") == [(COUNT,)]
    assert ask(catalogued, "SELECT count(DISTINCT sha256) FROM stamps") == [(COUNT,)]
    assert cli("-w", catalogued.path, "check").code == 0


def test_the_same_command_again_has_nothing_to_do(catalogued: Workspace, tile: Path) -> None:
    arguments = ("-w", catalogued.path, "ingest", "tiles", tile, "--survey", "des")
    assert f"{COUNT} stamps cut from 1 tile" in cli(*arguments).out
    before = ask(catalogued, "SELECT max(run) FROM runs")
    again = cli(*arguments)
    assert "nothing to do" in again.out and f"{COUNT} objects there had one already" in again.out
    assert ask(catalogued, "SELECT max(run) FROM runs") == before


def test_an_ingest_that_lost_its_last_shard_goes_on_to_the_same_stamps(
    catalogued: Workspace, tile: Path, table: Path, tmp_path: Path
) -> None:
    some = write_csv(
        tmp_path / "some.csv", ("object_id", "ra", "dec"), *[line.split(",")[:3] for line in lines(table)[1:9]]
    )
    assert ingest_tiles(catalogued, tile, survey="des", objects=some).added == 8
    report = ingest_tiles(catalogued, tile, survey="des")
    assert (report.added, report.unchanged) == (COUNT - 8, 8)
    other = create_workspace(tmp_path / "other")
    ingest_tiles(other, tile, survey="des", objects=table)
    whole, parts = stamps_of(other), stamps_of(catalogued)
    assert all((whole[n] == parts[n]).all() for n in whole)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_compressed_tiles_give_almost_the_same_stamps(
    catalogued: Workspace, planes: np.ndarray, tile: Path, table: Path, tmp_path: Path
) -> None:
    """Rice quantises the noise of the planes, no more."""
    write_tile(tmp_path / "fz", "SIM0001-0001", planes, tile_wcs(SIDE), compressed=True)
    other = create_workspace(tmp_path / "other")
    assert ingest_tiles(other, tmp_path / "fz", survey="des", objects=table).added == COUNT
    ingest_tiles(catalogued, tile, survey="des")
    plain, compressed = stamps_of(catalogued), stamps_of(other)
    differences = [np.abs(plain[n].astype(int) - compressed[n].astype(int)) for n in plain]
    assert np.mean(differences) < 0.5
    assert np.max(differences) <= 5


def test_sizes_follow_the_radius_within_limits(workspace: Workspace, tile: Path) -> None:
    centre = tile_wcs(SIDE).pixel_to_world_values(500, 500)
    radii = {1: 8.0, 2: 0.5, 3: 500.0, 4: None}
    add_objects(workspace, [(n, *map(float, centre), radius) for n, radius in radii.items()])
    report = ingest_tiles(workspace, tile, survey="des")
    widths = dict(ask(workspace, "SELECT object_id, width_px FROM stamps"))
    assert widths == {1: round(2.25 * 8 / 0.263), 2: round(10 / 0.263), 3: round(120 / 0.263), 4: round(22 / 0.263)}
    assert report.without_radius == 1
    names = dict(ask(workspace, "SELECT object_id, rendering FROM stamps"))
    assert names[1].endswith("width=2.25 radii") and names[4].endswith("width=22 arcsec (no radius)")


def test_a_galaxy_is_as_wide_in_des_as_in_sdss(workspace: Workspace) -> None:
    """By the medians of real galaxies: petroRad_r is 0.563 Kron radii."""
    radii = workspace.config.stamps.radii
    assert radii["sdss"] * 0.563 == pytest.approx(radii["des"], rel=0.01)


def test_the_papers_size_is_24_kron_radii_in_pixels(workspace: Workspace, tile: Path) -> None:
    centre = tuple(map(float, tile_wcs(SIDE).pixel_to_world_values(500, 500)))
    add_objects(workspace, [(1, *centre, 8.0), (2, *centre, 8.0)])
    with workspace.recording("des") as recording:
        recording.con.execute(
            "INSERT INTO des_coadd (survey, object_id, kron_radius, round, run) VALUES ('des', 1, 3.5, ?, ?)",
            [recording.round, recording.run],
        )
    ingest_tiles(workspace, tile, survey="des", size="paper")
    assert dict(ask(workspace, "SELECT object_id, width_px FROM stamps")) == {1: 84, 2: round(22 / 0.263)}
    assert ask(workspace, "SELECT rendering LIKE '%width=paper' FROM stamps WHERE object_id = 1") == [(True,)]


@pytest.mark.parametrize("size", ["huge", "0", "-1", "nan", "inf"])
def test_a_size_that_is_none_is_refused(workspace: Workspace, tile: Path, size: str) -> None:
    with pytest.raises(InputError, match="--size is"):
        ingest_tiles(workspace, tile, survey="des", size=size)


def test_objects_at_the_edge_are_truncated_and_those_beyond_are_counted(
    workspace: Workspace, tile: Path, galaxies: list[TileGalaxy]
) -> None:
    places = {1: (3.2, 500.0), 2: (500.0, SIDE - 1.0), 3: (-4.0, 500.0), 4: (galaxies[14].x, galaxies[14].y)}
    sky = {n: tuple(map(float, tile_wcs(SIDE).pixel_to_world_values(*place))) for n, place in places.items()}
    add_objects(workspace, [(n, *place, 8.0) for n, place in sky.items()] + [(5, 200.0, 40.0, 8.0)])
    report = ingest_tiles(workspace, tile, survey="des")
    assert (report.added, report.outside) == (1, 2)
    quality = dict(ask(workspace, "SELECT object_id, quality FROM stamps"))
    assert "truncated" in quality[1] and "truncated" in quality[2] and quality[4] == "ok"
    assert ask(workspace, "SELECT count(*) FROM catalog WHERE domain = 'artefact'") == [(2,)]


def test_an_object_on_two_tiles_is_cut_where_it_is_farther_from_the_edge(
    catalogued: Workspace, planes: np.ndarray, tile: Path, galaxies: list[TileGalaxy]
) -> None:
    shift = 500
    wcs = tile_wcs(SIDE)
    wcs.wcs.crpix = [wcs.wcs.crpix[0] - shift, wcs.wcs.crpix[1]]  # a tile that begins where the other has its middle
    moved = np.roll(planes, -shift, axis=2)
    write_tile(tile, "SIM0002-0001", moved, wcs, masks=False)
    report = ingest_tiles(catalogued, tile, survey="des")
    assert report.added + len(report.flagged_objects) == COUNT
    rows = dict(ask(catalogued, "SELECT object_id, file LIKE '%SIM0002%' FROM stamps"))
    assert len(rows) == COUNT
    for one in galaxies:
        along = min(one.y + 0.5, SIDE - one.y - 0.5)
        first = min(one.x + 0.5, SIDE - one.x - 0.5, along)
        second = min(one.x + 0.5 - shift, SIDE - one.x - 0.5 + shift, along)
        if first != second:
            assert rows[one.object_id] == (second > first), one.object_id


def test_bits_of_the_mask_and_zero_weights_count_as_bad(
    catalogued: Workspace, tile: Path, galaxies: list[TileGalaxy]
) -> None:
    by_mask, by_weight, at_rim, by_nan = galaxies[:4]
    for name, layer, one, offset, value in (
        ("r", "MSK", by_mask, 0, 2),
        ("g", "WGT", by_weight, 0, 0),
        ("i", "MSK", at_rim, 15, 1),
        ("g", "SCI", by_nan, 0, np.nan),
    ):
        with fits.open(tile / f"SIM0001-0001_{name}.fits", mode="update") as file:
            file[layer].data[round(one.y) + offset, round(one.x) + offset] = value
    report = ingest_tiles(catalogued, tile, survey="des")
    assert report.flagged == {"masked": 3}
    flagged = ask(catalogued, "SELECT object_id FROM stamps WHERE quality = 'masked' ORDER BY object_id")
    assert flagged == [(one.object_id,) for one in (by_mask, by_weight, by_nan)]


def test_a_table_names_objects_that_the_catalogue_does_not_have(
    workspace: Workspace, tile: Path, galaxies: list[TileGalaxy], tmp_path: Path
) -> None:
    one, two, known = galaxies[:3]
    add_objects(workspace, [(known.object_id, known.ra, known.dec, 8.0), (77, galaxies[4].ra, galaxies[4].dec, 8.0)])
    table = write_csv(
        tmp_path / "mine.csv", ("object_id", "ra", "dec"),
        ("J0120-1000", one.ra, one.dec), ("1", "", two.dec), (known.object_id, known.ra + 0.01, known.dec),
        ("x", 180, 0),
    )  # fmt: skip
    report = ingest_tiles(workspace, tile, survey="des", objects=table)
    assert (report.added, report.outside, report.without_radius) == (1, 1, 1)
    assert [r.row for r in report.rejections] == [3, 4]
    assert "arcsec away" in report.rejections[1].reason
    assert ask(workspace, "SELECT name, origin FROM objects JOIN stamps USING (survey, object_id)") == [
        ("J0120-1000", "images")
    ]
    assert ask(workspace, "SELECT count(*) FROM rejections") == [(2,)]


def cube(path: Path, planes: np.ndarray, **cards: object) -> Path:
    header = tile_wcs(planes.shape[1]).to_header()
    header.update({"BANDS": "gri", "MAGZERO": 30.0} | cards)
    path.parent.mkdir(exist_ok=True)
    fits.PrimaryHDU(planes, header).writeto(path, overwrite=True)
    return path


def test_a_small_cube_without_a_catalogued_object_is_one_object_named_by_its_file(
    workspace: Workspace, tmp_path: Path, planes: np.ndarray
) -> None:
    section = np.ascontiguousarray(planes[:, :200, :200])
    cube(tmp_path / "cubes" / "example_a.fits", section)  # not a file of a band 'a'
    cube(tmp_path / "cubes" / "12345.fits", section)
    report = ingest_tiles(workspace, tmp_path / "cubes", survey="des")
    assert sorted(report.whole_cubes) == ["12345", "example_a"]
    rows = ask(
        workspace, "SELECT o.object_id, o.name, s.width_px FROM objects AS o JOIN stamps AS s USING (survey, object_id)"
    )
    assert {(name, width) for _, name, width in rows} == {(None, 200), ("example_a", 200)}
    assert 12345 in {object_id for object_id, _, _ in rows}
    again = ingest_tiles(workspace, tmp_path / "cubes", survey="des")
    assert (again.added, again.whole_cubes, again.unchanged) == (0, (), 2)


def test_a_cube_on_which_the_catalogue_has_objects_is_a_tile(
    catalogued: Workspace, tmp_path: Path, planes: np.ndarray
) -> None:
    cube(tmp_path / "cubes" / "field.fits", planes)
    report = ingest_tiles(catalogued, tmp_path / "cubes", survey="des")
    assert (report.added, report.whole_cubes) == (COUNT, ())


def test_z_takes_the_place_of_i_in_a_cube_that_has_no_i(
    workspace: Workspace, tmp_path: Path, planes: np.ndarray
) -> None:
    cube(tmp_path / "cubes" / "one.fits", planes[:, :200, :200], BANDS="grz")
    ingest_tiles(workspace, tmp_path / "cubes", survey="des")
    assert ask(workspace, "SELECT rendering LIKE 'tiles/des/grz %' FROM stamps") == [(True,)]


def reheader(path: Path, change: Callable[[fits.Header], None]) -> None:
    with fits.open(path, mode="update") as file:
        for hdu in file[1:]:
            change(hdu.header)


def no_wcs(header: fits.Header) -> None:
    for card in ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2"):
        del header[card]


def shifted(header: fits.Header) -> None:
    header["CRPIX1"] += 3


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "SIM0001-0001_r.fits").unlink(), "band r is missing (it has g, i)"),
        (lambda f: [reheader(p, no_wcs) for p in f.glob("*.fits")], "no world coordinates"),
        (lambda f: reheader(f / "SIM0001-0001_i.fits", shifted), "0.8 arcsec off"),
        (lambda f: truncate(f / "SIM0001-0001_i.fits", 0.2), "SIM0001-0001_i.fits: it is cut short"),
        (lambda f: truncate(f / "SIM0001-0001_i.fits", 0.99), "it is cut short"),
        (lambda f: cut_in_header(f / "SIM0001-0001_i.fits"), "cut short inside the header"),
        (lambda f: (f / "SIM0001-0001_i.fits").write_bytes(b"not FITS at all"), "cannot be read as FITS"),
        (lambda f: other_shape(f / "SIM0001-0001_g.fits"), "bands must be aligned"),
    ],
)  # fmt: skip
def test_a_bad_tile_is_refused_by_name_and_the_good_one_beside_it_loads(
    spoil: Callable[[Path], object], words: str, workspace: Workspace, tile: Path, tmp_path: Path, table: Path
) -> None:
    spoil(tile)
    with pytest.raises(InputError, match="none of the 1 tiles") as error:
        ingest_tiles(workspace, tile, survey="des", objects=table)
    assert "SIM0001-0001" in str(error.value) and words.split(": ")[-1] in str(error.value)
    good = np.zeros((3, 200, 200), np.float32) + np.random.default_rng(1).normal(0, 1, (3, 200, 200)).astype(np.float32)
    write_tile(tile, "GOOD", good, tile_wcs(200), masks=False)
    report = ingest_tiles(workspace, tile, survey="des", objects=table)
    assert report.tiles == 1
    assert report.added + len(report.flagged_objects) > 0
    (refused,) = report.refused
    assert "SIM0001-0001" in refused.file
    assert ask(workspace, "SELECT file, reason FROM rejections") == [(refused.file, refused.reason)]


def truncate(path: Path, share: float) -> None:
    with open(path, "r+b") as file:
        file.truncate(int(path.stat().st_size * share))


def cut_in_header(path: Path) -> None:
    with fits.open(path) as file:
        second = file["MSK"].fileinfo()["hdrLoc"]
    with open(path, "r+b") as file:
        file.truncate(second + 1000)


def other_shape(path: Path) -> None:
    with fits.open(path) as file:
        data, header = file["SCI"].data[:-10].copy(), file["SCI"].header.copy()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, header, name="SCI")]).writeto(path, overwrite=True)


def test_a_compressed_tile_damaged_inside_loses_its_objects_by_name_only(
    workspace: Workspace, planes: np.ndarray, tmp_path: Path, table: Path
) -> None:
    folder = tmp_path / "fz"
    paths = write_tile(folder, "SIM0001-0001", planes, tile_wcs(SIDE), compressed=True, masks=False)
    with fits.open(paths[1], disable_image_compression=True) as file:
        start = file[1].fileinfo()["datLoc"] + file[1].header["THEAP"] if "THEAP" in file[1].header else None
        start = start or file[1].fileinfo()["datLoc"] + file[1].header["NAXIS1"] * file[1].header["NAXIS2"]
    with open(paths[1], "r+b") as damaged:
        damaged.seek(start)
        damaged.write(b"\xff" * 200_000)
    report = ingest_tiles(workspace, folder, survey="des", objects=table)
    assert report.added + len(report.flagged_objects) < COUNT
    assert report.refused and "could not be cut from it" in report.refused[0].reason


def test_a_cube_without_names_of_its_bands_is_refused(workspace: Workspace, tmp_path: Path, planes: np.ndarray) -> None:
    cube(tmp_path / "cubes" / "one.fits", planes[:, :200, :200], BANDS="")
    with pytest.raises(InputError, match="does not name each band"):
        ingest_tiles(workspace, tmp_path / "cubes", survey="des")


def test_a_survey_without_zero_point_needs_the_card(workspace: Workspace, tmp_path: Path, planes: np.ndarray) -> None:
    with open(workspace.path / "catbuilder.toml", "a", encoding="utf-8") as file:
        file.write('\n[surveys.euclid]\nrelease = "Q1"\n')
    workspace = Workspace.open(workspace.path)
    path = cube(tmp_path / "cubes" / "one.fits", planes[:, :200, :200])
    assert ingest_tiles(workspace, path.parent, survey="euclid").tiles == 1
    with fits.open(path, mode="update") as file:
        del file[0].header["MAGZERO"]
    with pytest.raises(InputError, match="has no MAGZERO"):
        ingest_tiles(workspace, path.parent, survey="euclid")


def test_folders_bands_and_surveys_that_cannot_be_meant_are_refused_in_one_sentence(
    workspace: Workspace, tile: Path, tmp_path: Path
) -> None:
    command = ("-w", workspace.path, "ingest", "tiles")
    (tmp_path / "empty").mkdir()
    failed(cli(*command, tmp_path / "empty", "--survey", "des"), "holds no .fits")
    failed(cli(*command, tmp_path / "nowhere", "--survey", "des"), "there is no folder")
    failed(cli(*command, tile, "--survey", "lsst"), "unknown survey 'lsst'")
    failed(cli(*command, tile, "--survey", "des", "--bands", "g,r,x"), "unknown band 'x'")
    failed(cli(*command, tile, "--survey", "des", "--bands", "g,r"), "three of g, r, i, z")
    failed(cli(*command, tile, "--survey", "des", "--bands", "g,r,z"), "band z is missing")


def test_a_rotated_or_distorted_projection_finds_the_same_galaxies(workspace: Workspace, tmp_path: Path) -> None:
    """TPV, as DECam images have it: the galaxy stands where the polynomial puts it, not where the plain plane does."""
    wcs = tile_wcs(300)
    header = wcs.to_header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TPV", "DEC--TPV"
    header.update({"PV1_0": 0.0, "PV1_1": 1.0, "PV1_4": 0.4, "PV2_0": 0.0, "PV2_1": 1.0, "PV2_4": 0.2, "MAGZERO": 30.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ra, dec = map(float, WCS(header).all_pix2world(40.0, 250.0, 0))
    plain_x, plain_y = wcs.all_world2pix(ra, dec, 0)
    assert np.hypot(plain_x - 40, plain_y - 250) > 0.02
    rows, columns = np.mgrid[:300, :300]
    light = 2000 * np.exp(-((columns - 40.0) ** 2 + (rows - 250.0) ** 2) / 18)
    noise = np.random.default_rng(2).normal(0, 2, (3, 300, 300))
    for band, plane in zip("gri", (light + noise).astype(np.float32), strict=True):
        fits.PrimaryHDU(plane, header).writeto(tmp_path / f"T_{band}.fits")
    add_objects(workspace, [(1, ra, dec, 4.5)])
    assert ingest_tiles(workspace, tmp_path, survey="des").added == 1
    assert np.hypot(*light_centre(stamps_of(workspace)[1])) < 0.1


@pytest.fixture(scope="module")
def cubes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, TileReport]]:
    made = create_workspace(tmp_path_factory.mktemp("decals") / "ws")
    with open(made.path / "catbuilder.toml", "a", encoding="utf-8") as file:
        file.write('\n[surveys.decals]\nrelease = "DR3"\n')
    made = Workspace.open(made.path)
    yield made, ingest_tiles(made, DATA, survey="decals")


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here")
def test_five_real_cubes_give_stamps_and_the_one_cut_short_is_named(cubes: tuple[Workspace, TileReport]) -> None:
    workspace, report = cubes
    assert report.whole_cubes == ("example_a", "example_b", "example_bad_pix", "example_c", "example_d")
    quality = dict(ask(workspace, "SELECT name, quality FROM stamps JOIN objects USING (survey, object_id)"))
    assert quality == dict.fromkeys(report.whole_cubes, "ok") | {"example_bad_pix": "masked"}
    (refused,) = report.refused
    assert Path(refused.file).name == "example_incomplete.fits" and "cut short: 1,389,044 bytes" in refused.reason


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here")
def test_the_card_survey_gives_the_units_whatever_the_workspace_calls_the_survey(
    cubes: tuple[Workspace, TileReport], tmp_path: Path
) -> None:
    workspace = create_workspace(tmp_path / "ws")
    ingest_tiles(workspace, DATA, survey="des")
    text = (
        "SELECT name, stamps.sha256 FROM stamps JOIN objects USING (survey, object_id) WHERE name <> 'example_bad_pix'"
    )
    assert set(ask(workspace, text)) == set(ask(cubes[0], text))


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here")
def test_real_galaxies_stand_in_the_middle_of_their_stamps(cubes: tuple[Workspace, TileReport]) -> None:
    workspace, _ = cubes
    good = ask(workspace, "SELECT shard, row FROM stamps WHERE quality = 'ok'")
    for shard, row in good:
        stamp = np.load(workspace.path / shard)[row].astype(float).mean(axis=-1)
        brightest = np.unravel_index(stamp[16:48, 16:48].argmax(), (32, 32))
        assert np.hypot(*(np.array(brightest) - 15.5)) < 3


def noise(side: int, seed: int = 1) -> np.ndarray:
    """A noisy sky with a galaxy every 40 px."""
    rows, columns = (np.mgrid[:side, :side] + seed) % 40 - 20
    light = 3000 * np.exp(-np.hypot(rows, columns) / 4)
    return (light + np.random.default_rng(seed).normal(0, 20, (3, side, side))).astype(np.float32)


def at(x: float, y: float, side: int = 300) -> tuple[float, float]:
    ra, dec = tile_wcs(side).pixel_to_world_values(x, y)
    return float(ra), float(dec)


def moved(side: int, shift: float) -> WCS:
    """The usual projection, of a tile whose first column is that of number `shift`."""
    wcs = tile_wcs(side)
    wcs.wcs.crpix = [wcs.wcs.crpix[0] - shift, wcs.wcs.crpix[1]]
    return wcs


def standing(workspace: Workspace) -> list[tuple]:
    rows = ask(workspace, "SELECT object_id, quality, file, sha256 FROM standing_stamps_at() ORDER BY ALL")
    return [(object_id, quality, Path(file).name, sha256) for object_id, quality, file, sha256 in rows]


def two_tiles(folder: Path) -> tuple[Path, Path]:
    """A and B overlap. Of three objects A truncates 1, masks 2, and shows 3 whole; B truncates 3 and shows 1 and 2."""
    planes = noise(300)
    planes[:, 148:153, 228:233] = np.nan
    write_tile(folder / "a", "A", planes, tile_wcs(300), masks=False)
    write_tile(folder / "b", "B", noise(300, 2), moved(300, 180), masks=False)
    return folder / "a", folder / "b"


@pytest.mark.parametrize("order", ["ab", "ba", "both"])
def test_a_stamp_that_lacks_pixels_gives_way_to_a_better_one_in_whatever_order_tiles_come(
    workspace: Workspace, tmp_path: Path, order: str
) -> None:
    tiles = dict(zip("ab", two_tiles(tmp_path), strict=True))
    shutil.copytree(tiles["a"], tmp_path / "both")
    shutil.copytree(tiles["b"], tmp_path / "both", dirs_exist_ok=True)
    add_objects(workspace, [(1, *at(295, 150), 5.0), (2, *at(230, 150), 5.0), (3, *at(182, 150), 5.0)])
    for name in ["both"] if order == "both" else order:
        ingest_tiles(workspace, tiles.get(name, tmp_path / "both"), survey="des")
    assert [row[:3] for row in standing(workspace)] == [
        (1, "ok", "B_i.fits"), (2, "ok", "B_i.fits"), (3, "ok", "A_i.fits"),
    ]  # fmt: skip
    runs = ask(workspace, "SELECT max(run) FROM runs")
    for folder in (tmp_path / "both", *tiles.values()):
        again = cli("-w", workspace.path, "ingest", "tiles", folder, "--survey", "des")
        assert "nothing to do" in again.out, again
    assert ask(workspace, "SELECT max(run) FROM runs") == runs
    assert cli("-w", workspace.path, "check").code == 0


@pytest.mark.parametrize("order", ["ab", "ba", "both"])
def test_of_two_truncated_stamps_the_one_farther_from_the_edge_stands(
    workspace: Workspace, tmp_path: Path, order: str
) -> None:
    write_tile(tmp_path / "a", "A", noise(300), tile_wcs(300), masks=False)
    write_tile(tmp_path / "b", "B", noise(300, 2), moved(300, 290), masks=False)
    write_tile(tmp_path / "both", "A", noise(300), tile_wcs(300), masks=False)
    write_tile(tmp_path / "both", "B", noise(300, 2), moved(300, 290), masks=False)
    add_objects(workspace, [(1, *at(297, 150), 5.0)])
    for name in ["both"] if order == "both" else order:
        ingest_tiles(workspace, tmp_path / name, survey="des")
    assert [row[:3] for row in standing(workspace)] == [(1, "truncated", "B_i.fits")]
    assert ingest_tiles(workspace, tmp_path / "both", survey="des").unchanged == 1
    assert [row[:3] for row in standing(workspace)] == [(1, "truncated", "B_i.fits")]


def test_a_cube_named_like_another_object_is_refused_and_leaves_its_stamp_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    write_tile(tmp_path / "t", "T", noise(300), tile_wcs(300, ra=50.0), masks=False)
    ra, dec = tile_wcs(300, ra=50.0).pixel_to_world_values(150, 150)
    add_objects(workspace, [(7, float(ra), float(dec), 5.0), (8, None, None, 5.0)])
    ingest_tiles(workspace, tmp_path / "t", survey="des")
    before = standing(workspace)
    for number in (7, 8, 9):
        cube(tmp_path / "cubes" / f"{number}.fits", noise(200), CRVAL1=20.0 + number)
    for _ in range(2):
        report = ingest_tiles(workspace, tmp_path / "cubes", survey="des")
        assert [Path(one.file).name for one in report.refused] == ["7.fits", "8.fits"]
        assert "arcsec from its middle" in report.refused[0].reason
        assert "without a position" in report.refused[1].reason
    assert [row for row in standing(workspace) if row[0] == 7] == before
    assert [row[0] for row in standing(workspace)] == [7, 9]
    assert ask(workspace, "SELECT count(*) FROM rejections") == [(2,)]


def test_007_and_7_are_one_id_so_the_second_cube_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("7", "007"):
        cube(tmp_path / "cubes" / f"{name}.fits", noise(200))
    report = ingest_tiles(workspace, tmp_path / "cubes", survey="des")
    assert report.whole_cubes == ("007",)
    assert [(Path(one.file).name, "007.fits" in one.reason) for one in report.refused] == [("7.fits", True)]
    assert ask(workspace, "SELECT object_id FROM objects") == [(7,)]
    assert cli("-w", workspace.path, "check").code == 0


def test_a_shard_that_a_kill_left_half_written_hinders_no_ingest(workspace: Workspace, tmp_path: Path) -> None:
    left = workspace.path / "stamps" / "des" / ".abc.123.partial.npy"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"\x93NUMPY")
    cube(tmp_path / "cubes" / "7.fits", noise(200))
    assert ingest_tiles(workspace, tmp_path / "cubes", survey="des").tiles == 1
    for shard in left.parent.glob("[!.]*.npy"):
        shard.write_bytes(b"\x93NUMPY")
    failed(cli("-w", workspace.path, "ingest", "tiles", tmp_path / "cubes", "--survey", "des"), "are damaged")


def rewrite(path: Path, **cards: object) -> None:
    with fits.open(path) as file:
        data, header = file["SCI"].data.copy(), file["SCI"].header.copy()
    header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, header, name="SCI")]).writeto(path, overwrite=True)


def overwrite(path: Path, card: bytes, value: bytes) -> None:
    """Change a card of the image's header behind astropy's back."""
    data = path.read_bytes()
    start = data.index(card.ljust(8) + b"=", 2880)
    path.write_bytes(data[:start] + (card.ljust(8) + b"= " + value.rjust(20)).ljust(80) + data[start + 80 :])


def drop_mask(path: Path) -> None:
    with fits.open(path) as file:
        end = file["MSK"].fileinfo()["hdrLoc"]
    with open(path, "r+b") as file:
        file.truncate(end)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "frame": (lambda f: [rewrite(p, RADESYS="XYZ") for p in f.glob("ODD*")], "world coordinates of ODD_g.fits"),
    "frame of one": (lambda f: rewrite(f / "ODD_r.fits", RADESYS="GAPPT"), "world coordinates of ODD_r.fits"),
    "no axis": (lambda f: overwrite(f / "ODD_r.fits", b"NAXIS1", b"1E400"), "its header is damaged"),
    "huge": (lambda f: overwrite(f / "ODD_r.fits", b"NAXIS", b"99999999"), "NAXIS is 99999999"),
    "negative": (lambda f: overwrite(f / "ODD_r.fits", b"NAXIS", b"-5"), "NAXIS is -5"),
    "band": (lambda f: rewrite(f / "ODD_r.fits", BAND="i"), "band r and its header i"),
    "filter": (lambda f: rewrite(f / "ODD_r.fits", FILTER="z DECam SDSS c0004 9260.0 1520.0"), "its header z"),
    "mask": (lambda f: drop_mask(f / "ODD_r.fits"), "ODD_r.fits has no mask"),
    "true": (lambda f: reheader(f / "ODD_r.fits", lambda h: h.update(MAGZERO=True)), "MAGZERO = True"),
    "zero": (lambda f: reheader(f / "ODD_r.fits", lambda h: h.update(MAGZERO=0.0)), "MAGZERO = 0.0"),
    "oblong": (lambda f: [reheader(p, oblong) for p in f.glob("ODD*")], "resample it to square"),
    "gzip": (lambda f: (f / "ODD_r.fits").rename(f / "ODD_r.fits.gz"), "gunzip"),
    "bytes": (lambda f: shutil.copy(f / "ODD_r.fits", bytes(f) + b"/\xff_r.fits"), "not UTF-8"),
    "twin": (lambda f: shutil.copy(f / "ODD_r.fits", f / "ODD_R.fits"), "remove one of them"),
}


def oblong(header: fits.Header) -> None:
    header["CDELT2"] *= 2


@pytest.fixture(scope="module")
def small_tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    for name in ("GOOD", "ODD"):
        write_tile(folder, name, noise(60), tile_wcs(60))
    return folder


@pytest.mark.parametrize("odd", list(ODD))
def test_an_odd_file_is_refused_by_name_and_costs_its_own_tile_at_most(
    workspace: Workspace, tmp_path: Path, small_tiles: Path, odd: str
) -> None:
    spoil, words = ODD[odd]
    shutil.copytree(small_tiles, tmp_path / "t")
    spoil(tmp_path / "t")
    report = ingest_tiles(workspace, tmp_path / "t", survey="des")
    assert any(words in one.reason for one in report.refused), report.refused
    assert report.tiles in (1, 2)
    report.refused[0].file.encode()


def test_cubes_and_bands_of_one_name_do_not_mix(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    write_tile(folder, "T", noise(60), tile_wcs(60))
    cube(folder / "T.fits", noise(60))
    assert ingest_tiles(workspace, folder, survey="des").tiles == 2
    cube(folder / "T.fits.fz", noise(60), BANDS="riz")
    report = ingest_tiles(workspace, folder, survey="des")
    assert report.tiles == 2 and "T.fits (bands gri)" in report.refused[0].reason


def test_the_image_is_the_hdu_named_sci_wherever_it_stands(workspace: Workspace, tmp_path: Path) -> None:
    write_tile(tmp_path / "t", "T", noise(300), tile_wcs(300))
    add_objects(workspace, [(1, *at(150, 150), 5.0)])
    for path in (tmp_path / "t").glob("*.fits"):
        with fits.open(path) as file:
            hdus = [fits.ImageHDU(file[k].data.copy(), file[k].header.copy(), name=k) for k in ("MSK", "WGT", "SCI")]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
    assert ingest_tiles(workspace, tmp_path / "t", survey="des").added == 1


def test_a_zero_point_may_be_a_number_in_quotes_and_a_band_a_capital(workspace: Workspace, tmp_path: Path) -> None:
    for path in write_tile(tmp_path, "T", noise(60), tile_wcs(60)):
        reheader(path, lambda header: header.update(MAGZERO="30.0"))
        path.rename(path.with_name(path.name.replace("_g", "_G")))
    report = ingest_tiles(workspace, tmp_path, survey="des")
    assert (report.tiles, report.refused) == (1, ())


def test_a_radius_in_the_table_serves_objects_of_which_the_catalogue_has_none(
    workspace: Workspace, tmp_path: Path
) -> None:
    write_tile(tmp_path / "t", "T", noise(300), tile_wcs(300), masks=False)
    add_objects(workspace, [(1, *at(100, 150), None), (2, *at(200, 150), 8.0)])
    table = write_csv(
        tmp_path / "o.csv", ("object_id", "ra", "dec", "radius_arcsec"), (1, *at(100, 150), 7), (2, *at(200, 150), 7)
    )
    report = ingest_tiles(workspace, tmp_path / "t", survey="des", objects=table)
    assert report.without_radius == 0
    widths = dict(ask(workspace, "SELECT object_id, width_px FROM stamps"))
    assert widths == {1: round(2.25 * 7 / 0.263), 2: round(2.25 * 8 / 0.263)}


def test_objects_that_have_a_stamp_are_not_counted_as_lying_on_no_tile(workspace: Workspace, tmp_path: Path) -> None:
    write_tile(tmp_path / "t", "T", noise(300), tile_wcs(300), masks=False)
    write_tile(tmp_path / "far", "T", noise(60), tile_wcs(60, ra=90.0), masks=False)
    table = write_csv(tmp_path / "o.csv", ("object_id", "ra", "dec"), (1, *at(100, 150)), (2, 200, 0))
    assert ingest_tiles(workspace, tmp_path / "t", survey="des", objects=table).outside == 1
    assert ingest_tiles(workspace, tmp_path / "far", survey="des", objects=table).outside == 1


def test_a_folder_given_as_text_or_as_a_dot_is_recorded_by_its_whole_path(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tile(tmp_path / "t", "T", noise(300), tile_wcs(300), masks=False)
    (tmp_path / "t" / "U_g.fits").write_bytes(b"nothing")
    add_objects(workspace, [(1, *at(150, 150), 5.0)])
    monkeypatch.chdir(tmp_path / "t")
    assert ingest_tiles(workspace, ".", survey="des").added == 1
    assert ask(workspace, "SELECT file FROM rejections") == [(str(tmp_path / "t" / "U_g.fits"),)]
    assert ask(workspace, "SELECT count(*) FROM runs WHERE command LIKE '%ingest tiles t --survey%'") == [(1,)]


def test_two_overlapping_cubes_are_two_objects_one_by_one_too(workspace: Workspace, tmp_path: Path) -> None:
    cube(tmp_path / "a" / "ga.fits", noise(200))
    second = cube(tmp_path / "b" / "gb.fits", noise(200))
    with fits.open(second, mode="update") as file:
        file[0].header["CRPIX1"] -= 60
    assert ingest_tiles(workspace, tmp_path / "a", survey="des").whole_cubes == ("ga",)
    assert ingest_tiles(workspace, tmp_path / "b", survey="des").whole_cubes == ("gb",)
    assert ingest_tiles(workspace, tmp_path / "b", survey="des").unchanged == 2


def test_a_mirrored_tile_gives_the_stamps_that_the_sky_shows(workspace: Workspace, tmp_path: Path) -> None:
    planes = noise(300)
    planes[:, 148:152, 160:164] = 4000
    write_tile(tmp_path / "a", "A", planes, tile_wcs(300), masks=False)
    wcs = tile_wcs(300)
    wcs.wcs.cd = wcs.wcs.cd * np.array([[-1], [1]])
    write_tile(tmp_path / "b", "B", np.ascontiguousarray(planes[:, :, ::-1]), wcs, masks=False)
    table = write_csv(tmp_path / "o.csv", ("object_id", "ra", "dec"), (1, *at(149.5, 149.5)))
    other = create_workspace(tmp_path / "other")
    ingest_tiles(workspace, tmp_path / "a", survey="des", objects=table)
    ingest_tiles(other, tmp_path / "b", survey="des", objects=table)
    difference = stamps_of(workspace)[1].astype(int) - stamps_of(other)[1].astype(int)
    assert np.abs(difference).max() <= 1


def test_all_reasons_are_told_where_no_tile_can_be_used(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("U_g.fits", "V_g.fits"):
        (tmp_path / name).write_bytes(b"nothing")
    told = cli("-w", workspace.path, "ingest", "tiles", tmp_path, "--survey", "des")
    assert told.code == 1 and "U_g.fits: it cannot be read" in told.err and "V_g.fits: it cannot" in told.err


def test_a_flagged_object_is_listed_by_its_name(workspace: Workspace, tmp_path: Path) -> None:
    write_tile(tmp_path / "t", "T", noise(300), tile_wcs(300), masks=False)
    table = write_csv(tmp_path / "o.csv", ("object_id", "ra", "dec"), ("J0120", *at(2, 150)))
    (line,) = ingest_tiles(workspace, tmp_path / "t", survey="des", objects=table).flagged_objects
    assert line.startswith("J0120: ")


def test_a_dead_column_of_a_tile_is_bad(workspace: Workspace, tmp_path: Path) -> None:
    planes = noise(300)
    planes[1, :, 150] = 0
    write_tile(tmp_path / "t", "T", planes, tile_wcs(300), masks=False)
    add_objects(workspace, [(1, *at(150, 150), 5.0), (2, *at(60, 150), 5.0)])
    ingest_tiles(workspace, tmp_path / "t", survey="des")
    assert [row[:2] for row in standing(workspace)] == [(1, "masked"), (2, "ok")]
