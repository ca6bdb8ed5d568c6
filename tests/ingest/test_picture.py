"""Image files in, comparable pixels out; what is wrong with a file is said, never raised."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from catbuilder.ingest.picture import QUALITY_FLAGS, quality_flags, read_picture

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent: real images not tested")


def galaxy(side: int = 96, noise: float = 4.0, seed: int = 1) -> np.ndarray:
    """A round galaxy on a noisy sky, uint8 (side, side, 3)."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    light = 180 * np.exp(-np.hypot(x, y) / (0.1 * side))
    sky = np.random.default_rng(seed).normal(20, noise, (side, side, 3))
    return np.clip(light[..., None] * [1.0, 0.8, 0.6] + sky, 0, 255).astype(np.uint8)


def write(path: Path, pixels: np.ndarray, mode: str | None = None, **options: int) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(bytes(100))
    chunks = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunks + struct.pack(">I", len(data)) + b"IDAT" + data


@pytest.mark.parametrize("name", ["g.png", "g.jpg"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("side", [39, 96, 299])
def test_every_size_becomes_the_same_shape(tmp_path, name, mode, side):
    picture = read_picture(write(tmp_path / name, galaxy(side), mode), 64)
    assert picture.pixels is not None and picture.pixels.shape == (64, 64, 3)
    assert picture.pixels.dtype == np.uint8
    assert (picture.width, picture.height, picture.flags, picture.reason) == (side, side, (), None)


def test_pixels_of_the_right_size_are_left_alone(tmp_path):
    pixels = galaxy(64)
    assert np.array_equal(read_picture(write(tmp_path / "g.png", pixels), 64).pixels, pixels)


def test_shrinking_averages_noise_instead_of_sampling_it(tmp_path):
    noise = np.random.default_rng(0).normal(128, 30, (256, 256, 3)).clip(0, 255).astype(np.uint8)
    picture = read_picture(write(tmp_path / "n.png", noise), 64)
    assert picture.pixels.std() < noise.std() / 3


def test_a_long_frame_is_cropped_around_its_centre(tmp_path):
    wide = np.full((64, 164, 3), 9, np.uint8)
    wide[:, 50:114] = galaxy(64)
    picture = read_picture(write(tmp_path / "w.png", wide), 64)
    assert np.array_equal(picture.pixels, galaxy(64))
    assert (picture.width, picture.height) == (164, 64)


def test_an_opaque_alpha_channel_is_dropped_and_a_transparent_one_refused(tmp_path):
    opaque = np.dstack([galaxy(64), np.full((64, 64), 255, np.uint8)])
    assert np.array_equal(read_picture(write(tmp_path / "a.png", opaque), 64).pixels, galaxy(64))
    opaque[0, 0, 3] = 0
    assert "transparent" in read_picture(write(tmp_path / "b.png", opaque), 64).reason


def damaged(folder: Path) -> dict[str, Path]:
    """One file for every way to be unreadable, by the word its reason must contain."""
    jpeg, png = io.BytesIO(), io.BytesIO()
    Image.fromarray(galaxy()).save(jpeg, "JPEG")
    Image.fromarray(galaxy()).save(png, "PNG")
    contents = {
        "empty": b"",
        "not a JPEG or PNG": b"<html>404</html>",
        "truncated": jpeg.getvalue()[:-300],
        "damaged": png.getvalue()[:-300],
        "60,000 x 60,000": png_header(60_000, 60_000),
        "16 bits": png_header(64, 64, bits=16),
    }
    paths = {"no such file": folder / "missing.png", "plain file": folder}
    for word, content in contents.items():
        paths[word] = folder / f"{len(paths)}.bin"
        paths[word].write_bytes(content)
    paths["CMYK"] = write(folder / "c.jpg", galaxy(), "CMYK")
    paths["mode is P"] = write(folder / "p.png", galaxy(), "P")
    paths["1 bits"] = write(folder / "one.png", galaxy(), "1")
    return paths


def test_an_unreadable_file_says_why(tmp_path):
    for word, path in damaged(tmp_path).items():
        picture = read_picture(path, 64)
        assert picture.pixels is None and picture.flags == ("unreadable",), word
        assert word in picture.reason and path.name in picture.reason
        assert (picture.width, picture.height) == (0, 0)


def test_the_size_limit_is_the_callers(tmp_path):
    path = write(tmp_path / "g.png", galaxy(96))
    assert read_picture(path, 64, max_pixels=96 * 96).pixels is not None
    assert read_picture(path, 64, max_pixels=96 * 96 - 1).flags == ("unreadable",)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), start=st.sampled_from([b"", b"\xff\xd8\xff", png_header(8, 8)]))
def test_no_bytes_raise(tmp_path, body, start):
    (tmp_path / "x").write_bytes(start + body)
    picture = read_picture(tmp_path / "x", 32)
    assert (picture.pixels is None) == (picture.reason is not None)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 3000), value=st.integers(0, 255), name=st.sampled_from(["JPEG", "PNG"]))
def test_no_flipped_byte_raises(tmp_path, position, value, name):
    buffer = io.BytesIO()
    Image.fromarray(galaxy(32)).save(buffer, name)
    content = bytearray(buffer.getvalue())
    content[position % len(content)] = value
    (tmp_path / "x").write_bytes(content)
    assert set(read_picture(tmp_path / "x", 32).flags) <= set(QUALITY_FLAGS)


def test_blank_means_one_colour():
    assert quality_flags(np.full((64, 64, 3), (3, 9, 4), np.uint8)) == ("blank",)


@pytest.mark.parametrize("native", [39, 62, 96, 200])
@pytest.mark.parametrize("noise", [2, 15, 40])
def test_noise_without_a_source_is_nearly_blank(native, noise):
    sky = np.random.default_rng(native).normal(90, noise, (native, native, 3)).clip(0, 255).astype(np.uint8)
    stamp = np.asarray(Image.fromarray(sky).resize((96, 96), Image.Resampling.LANCZOS))
    assert quality_flags(stamp) == ("nearly_blank",)


@pytest.mark.parametrize("noise", [0.5, 4, 15])
def test_a_galaxy_is_not_flagged(noise):
    assert quality_flags(galaxy(noise=noise)) == ()


def test_a_frame_in_the_glare_of_a_star_is_saturated_in_whichever_channel():
    stamp = galaxy()
    stamp[:40, :40, 0] = 255
    assert quality_flags(stamp) == ("saturated",)


def test_a_tiny_file_is_read_and_flagged(tmp_path):
    picture = read_picture(write(tmp_path / "t.png", galaxy(15, noise=1)), 32)
    assert picture.pixels is not None and "too_small" in picture.flags


@pytest.mark.real
@needs_data
@pytest.mark.parametrize("folder", ["des_pool", "des_fo", "decals", "decals_validation", "hp_pairs/sdss"])
def test_no_real_galaxy_is_flagged(folder):
    paths = sorted(path for path in (DATA / folder).rglob("*") if path.suffix in (".png", ".jpg"))
    assert paths
    assert [path.name for path in paths if read_picture(path, 64).flags] == []


@pytest.mark.real
@needs_data
def test_the_black_stamp_is_found():
    flagged = {p.name: f for p in (DATA / "hp_pairs" / "des").iterdir() if (f := read_picture(p, 64).flags)}
    assert flagged == {"283192192.png": ("blank",)}
