"""Masks and weights of tiles: which values are bad, in cubes, compressed, and in files beside the image."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from support.new_workspace import create_workspace
from support.tile_layouts import (
    CENTRES,
    SHAPE,
    extension,
    image_header,
    marked,
    sky_image,
    write_bands,
    write_file,
    write_objects,
)
from support.workspaces import ask

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.ingest.tiles.ingest_tiles import TileReport, ingest_tiles
from catbuilder.ingest.tiles.layer_files import recognise_layer_file
from catbuilder.ingest.tiles.pixel_layers import PixelLayer, Unknown, find_bad, read_layer
from catbuilder.ingest.tiles.tile_file import Remark, _listed_warnings


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    write_objects()
    return create_workspace(tmp_path / "w", stamp_size=64)


def cut(workspace: Workspace) -> tuple[TileReport, dict[int, str]]:
    report = ingest_tiles(workspace, "t", survey="des", objects="objects.csv")
    return report, dict(ask(workspace, "SELECT object_id, quality FROM stamps"))


def layer(name: str, data: np.ndarray | None = None, names: tuple[str, ...] = (), **cards: object) -> PixelLayer:
    hdu = fits.ImageHDU(marked(0) if data is None else data)
    hdu.header.update(cards)
    return read_layer("f", 2, name, hdu, fits.Header(), SHAPE, {*names, name})[0]


def test_bits_are_those_of_planes_without_usable_light() -> None:
    assert layer("MASK", MP_SAT=3, MP_CR=1, MP_BAD=0).bits == 2**3 + 2**0
    assert layer("MASK", MSKNAM00="CONV.BAD", MSKVAL00=8192, MSKNAM01="GHOST", MSKVAL01=1024).bits == 8192
    assert layer("DQ", TELESCOP="HST").bits == 1 + 2 + 4 + 256
    assert layer("MASKBITS").bits_of("r") == 2**3 + 2**6 and layer("MASKBITS").bits_of("y") == 0


@pytest.mark.parametrize(
    ("name", "cards", "reason"),
    [
        ("MASK", {}, "does not say which bits"),
        ("DQ", {"TELESCOP": "Spitzer"}, "does not say which bits"),
        ("MASK", {"MP_CR": 1}, "give no number to a plane"),
        ("MASK", {"MP_SAT": 99}, "give no number"),
        ("MASK", {"MP_SAT": "one"}, "give no number"),
        ("MASK", {"MSKNAM00": "SAT", "MSKVAL00": 48}, "give no number"),
        ("CTX", {}, "not a known mask or weight"),
    ],
)
def test_a_mask_of_unknown_meaning_is_not_used(name: str, cards: dict[str, object], reason: str) -> None:
    with pytest.raises(Unknown, match=reason):
        layer(name, **cards)


def test_a_weight_or_error_that_is_not_positive_and_finite_is_bad() -> None:
    values = np.array([1.0, 0.0, -1.0, np.nan, np.inf])
    assert find_bad("weight", 0, values).tolist() == [False, True, True, True, True]


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4"])
def test_bits_are_found_in_numbers_of_every_type(dtype: str) -> None:
    assert find_bad("mask", 2 | 64, np.array([0, 1, 2, 3, 64, 32], dtype)).tolist() == [
        False, False, True, True, True, False,
    ]  # fmt: skip
    assert find_bad("mask", -1, np.array([0, 4], dtype)).tolist() == [False, True]


def test_a_compressed_mask_of_unsigned_numbers_is_read(workspace: Workspace) -> None:
    for seed, band in enumerate("gri"):
        mask = fits.CompImageHDU(marked(2**31, elsewhere=2**5, dtype="u4"), image_header(MP_SAT=31), name="MASK")
        write_file(f"T_{band}.fits.fz", [fits.CompImageHDU(sky_image(seed), image_header(), name="IMAGE"), mask])
    report, quality = cut(workspace)
    assert (report.remarks, quality) == ((), {1: "masked", 2: "ok"})


@pytest.mark.parametrize("flat", [True, False])
def test_a_mask_of_a_cube_is_one_for_all_bands_or_one_for_each(workspace: Workspace, flat: bool) -> None:
    cube, mask = np.stack([sky_image(seed) for seed in range(3)]), marked(1)
    header = image_header(BANDS="gri")
    layers = [mask] if flat else [np.zeros_like(mask), mask, np.zeros_like(mask)]
    hdus = [fits.ImageHDU(cube, header, name="SCI"), fits.ImageHDU(mask if flat else np.stack(layers), name="MSK")]
    write_file("cube.fits", hdus)
    report, quality = cut(workspace)
    assert (report.remarks, quality) == ((), {1: "masked", 2: "ok"})


def test_a_mask_that_only_some_bands_have_refuses_the_tile(workspace: Workspace) -> None:
    write_bands(lambda seed: [extension(sky_image(seed), "SCI"), *([extension(marked(0), "BPM")] if seed else [])])
    with pytest.raises(InputError, match=r"T_g.fits has no mask and T_r.fits has one"):
        cut(workspace)


def test_a_damaged_mask_beside_the_image_refuses_the_tile_by_its_name(workspace: Workspace) -> None:
    write_bands(lambda seed: [extension(sky_image(seed), "SCI")])
    write_bands(lambda seed: [extension(marked(0), "BPM")], "T_{}.bpm.fits")
    path = Path("t/T_r.bpm.fits")
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"T_r.fits: T_r.bpm.fits beside it cannot be used: it is cut short"):
        cut(workspace)


def test_the_compressed_copy_of_a_mask_beside_the_image_is_not_one_more(workspace: Workspace) -> None:
    write_bands(lambda seed: [extension(sky_image(seed), "SCI")])
    write_bands(lambda seed: [extension(marked(0), "BPM")], "T_{}.bpm.fits")
    write_bands(lambda seed: [extension(marked(1), "BPM")], "T_{}.bpm.fits.fz")
    assert cut(workspace)[1] == dict.fromkeys(CENTRES, "ok")


def test_one_remark_names_the_tiles_that_it_concerns(workspace: Workspace) -> None:
    for name in ("A", "B"):
        write_bands(lambda seed: [extension(sky_image(seed), "SCI"), extension(marked(1), "CTX")], name + "_{}.fits")
    assert cut(workspace)[0].remarks == (
        "The extension CTX of tiles A, B is not used: it is not a known mask or weight.",
    )


def test_warnings_of_astropy_are_told_but_for_the_harmless_ones(workspace: Workspace) -> None:
    write_bands(lambda seed: [extension(sky_image(seed), "SCI")])
    for path in Path("t").iterdir():
        with warnings.catch_warnings(action="ignore"), fits.open(path, mode="update") as file:
            file["SCI"].header["DATE-OBS"] = "31/12/98"  # which wcslib repairs
            file["SCI"].header["BLANK"] = -1  # meaningless beside floating-point pixels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cut(workspace)[0].remarks == ()
    remarks: list[Remark] = []
    with _listed_warnings(remarks):
        warnings.warn("Error validating header for HDU #2", fits.verify.VerifyWarning, stacklevel=1)
        warnings.warn("Card is too long, comment will be truncated.", fits.verify.VerifyWarning, stacklevel=1)
    assert remarks == [("the header", "makes astropy warn: Error validating header for HDU #2")]


def test_bunit_gives_the_zero_point_where_there_is_no_magzero(workspace: Workspace) -> None:
    """The pixels of one image in nanojansky and in the counts of DES make the same stamps."""
    stamps = []
    for unit, factor in (("nJy", 10 ** (0.4 * 1.4)), ("nanomaggy", 10 ** (-0.4 * 7.5)), (None, 1.0)):
        write_bands(lambda seed, f=factor, n=unit: [extension((f * sky_image(seed)).astype("f4"), "SCI", BUNIT=n)])
        for path in Path("t").iterdir():
            with fits.open(path, mode="update") as file:
                del file["SCI"].header["MAGZERO"]
        own = create_workspace(workspace.path.parent / f"w{len(stamps)}", stamp_size=64)
        report = ingest_tiles(own, "t", survey="des", objects="objects.csv")
        assert report.remarks == ()
        ((shard, row),) = ask(own, "SELECT shard, row FROM stamps WHERE object_id = 1")
        stamps.append(np.load(own.path / shard)[row].astype(int))
        for path in Path("t").iterdir():
            path.unlink()
    assert max(np.abs(stamps[0] - stamps[2]).max(), np.abs(stamps[1] - stamps[2]).max()) <= 1


@pytest.mark.parametrize(
    ("stem", "stems", "expected"),
    [
        ("T_g.mask", {"T_g", "T_r"}, ("MASK", ("T_g",))),
        ("T_wht_g", {"T_image_g"}, ("WHT", ("T_image_g",))),
        ("T_maskbits", {"T_g", "T_r", "U_g"}, ("MASKBITS", ("T_g", "T_r"))),
        ("T_g", {"T_g"}, None),
        ("survey_psf_g", {"survey_psf_g"}, None),
        ("survey_rms_g", {"survey_rms_g"}, ("RMS", ())),
    ],
)
def test_the_name_of_a_file_says_what_it_is(stem: str, stems: set[str], expected: tuple[str, tuple[str, ...]]) -> None:
    found = recognise_layer_file(stem, stems | {stem})
    assert (found and (found.word, found.images)) == expected
