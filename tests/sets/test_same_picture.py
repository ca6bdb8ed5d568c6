"""`same_picture` finds copies after rescaling, re-encoding, rotation and flips, and no look-alikes."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from support.galaxy_pictures import crop, elliptical, jpeg

from catbuilder.ingest.picture import read_picture
from catbuilder.sets.same_picture import same_picture
from catbuilder.simulation.galaxies import SurveyPlan, draw_galaxies
from catbuilder.simulation.telescopes import SDSS, Scene

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent: real images not tested")


def stamps(images: list[Image.Image], size: int = 96) -> np.ndarray:
    return np.stack([np.asarray(image.resize((size, size), Image.Resampling.LANCZOS)) for image in images])


def duplicates(images: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of different stamps of one set that are the same picture."""
    return [(match.i, match.j) for match in same_picture(images, images) if match.i < match.j]


COPIES = {
    "re-encoded": lambda image: jpeg(image, 50),
    "shrunk and re-encoded": lambda image: jpeg(image.resize((80, 80)), 75),
    "shrunk threefold": lambda image: image.resize((67, 67)),
    "enlarged": lambda image: image.resize((400, 400)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.05),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.95),
    "quarter turn": lambda image: image.rotate(90),
    "half turn": lambda image: image.rotate(180),
    "mirrored": ImageOps.mirror,
    "mirrored and turned": lambda image: ImageOps.flip(image).rotate(90),
    "turned by 33 degrees": lambda image: image.rotate(33, Image.Resampling.BICUBIC),
    "everything": lambda image: jpeg(
        ImageOps.mirror(image).rotate(201, Image.Resampling.BICUBIC).resize((100, 100)), 75
    ),
}


@pytest.mark.parametrize("size", [64, 96])
@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_found_and_only_the_copy(change, size):
    originals = [elliptical(seed) for seed in range(12)]
    copies = [COPIES[change](image) for image in originals]
    found = {(match.i, match.j) for match in same_picture(stamps(originals, size), stamps(copies, size))}
    assert found == {(k, k) for k in range(12)}


@pytest.mark.parametrize("companions", [0, 1, 4])
def test_different_smooth_galaxies_do_not_match(companions):
    images = stamps([elliptical(seed, companions=companions) for seed in range(40)])
    assert duplicates(images) == []


CROPPED = {
    "half": lambda image: crop(image, 0.25),
    "three quarters, re-encoded": lambda image: jpeg(crop(image, 0.375), 95),
    "nine tenths, turned": lambda image: crop(image, 0.45).rotate(90),
    "1.5 times, mirrored": lambda image: ImageOps.mirror(crop(image, 0.75)),
    "twice": lambda image: image,
    "twice, mirrored and re-encoded": lambda image: jpeg(ImageOps.flip(image), 90),
}


@pytest.fixture(scope="module")
def simulated() -> list[Image.Image]:
    """Galaxies as the simulated SDSS sees them, with twice the field of view of a stamp."""
    plan = SurveyPlan(training=0, hp=16, fo=0, calibration=0, pool=0, faults=0)
    return [Image.fromarray(Scene(galaxy).colour_stamp(SDSS, 160, seed=3)) for galaxy in draw_galaxies(plan, seed=3)]


@pytest.mark.parametrize("change", CROPPED)
@pytest.mark.parametrize("kind", ["drawn", "simulated"])
def test_a_copy_with_another_field_of_view_is_found_and_only_the_copy(kind, change, simulated):
    wide = simulated if kind == "simulated" else [elliptical(seed, 400, companions=12) for seed in range(12)]
    originals, copies = stamps([crop(image, 0.5) for image in wide], 64), stamps([CROPPED[change](i) for i in wide], 64)
    found = same_picture(originals, copies, other_widths=True)
    assert all(match.i == match.j for match in found) and len(found) >= 0.9 * len(wide)
    assert same_picture(originals, copies) == []


@pytest.mark.parametrize("kind", [0, 1, 4, "simulated"])
def test_different_galaxies_do_not_match_at_any_width(kind, simulated):
    images = simulated if kind == "simulated" else [elliptical(seed, companions=kind) for seed in range(24)]
    found = same_picture(stamps(images, 64), stamps(images, 64), other_widths=True)
    assert [(match.i, match.j) for match in found] == [(k, k) for k in range(len(images))]


def test_a_blank_stamp_matches_nothing_at_any_width():
    images = np.concatenate([np.full((2, 64, 64, 3), 90, np.uint8), stamps([elliptical(1)], 64)])
    assert [(match.i, match.j) for match in same_picture(images, images, other_widths=True)] == [(2, 2)]
    assert same_picture(images[:0], images, other_widths=True) == []


def test_twins_that_differ_only_in_their_noise_do_not_match():
    y, x = np.mgrid[:96, :96] - 47.5
    light = 190 * np.exp(-np.hypot(x, 1.3 * y) / 8)[..., None]
    noise = np.random.default_rng(0).normal(25, 4, (40, 96, 96, 3))
    assert duplicates(np.clip(light + noise, 0, 255).astype(np.uint8)) == []


def test_noise_free_galaxies_of_different_size_do_not_match():
    y, x = np.mgrid[:96, :96] - 47.5
    light = [200 * np.exp(-np.hypot(x, y) / scale) for scale in np.linspace(4, 12, 20)]
    images = np.repeat(np.stack(light)[..., None], 3, axis=-1).astype(np.uint8)
    assert duplicates(images) == []


def test_copies_of_copies_are_all_found():
    first, other = elliptical(1), elliptical(2)
    images = [first, other, first.rotate(90), jpeg(ImageOps.mirror(first), 60), other.resize((90, 90))]
    assert duplicates(stamps(images)) == [(0, 2), (0, 3), (1, 4), (2, 3)]


def test_a_blank_stamp_has_no_content_and_matches_nothing_not_even_itself():
    images = np.concatenate([np.zeros((2, 64, 64, 3), np.uint8), stamps([elliptical(1)], 64)])
    assert [(match.i, match.j) for match in same_picture(images, images)] == [(2, 2)]


def test_no_stamps_give_no_match():
    none, one = np.zeros((0, 64, 64, 3), np.uint8), stamps([elliptical(1)], 64)
    assert same_picture(none, one) == same_picture(one, none) == []
    assert same_picture(none, none) == []


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), turns=st.integers(0, 3), mirrored=st.booleans())
def test_quarter_turns_and_flips_do_not_change_the_similarity(seed, turns, mirrored):
    stamp = stamps([elliptical(seed)])
    moved = np.rot90(stamp[:, :, ::-1] if mirrored else stamp, turns, axes=(1, 2))
    (itself,), (match,) = same_picture(stamp, stamp), same_picture(stamp, moved)
    assert match.similarity == pytest.approx(itself.similarity, rel=0.05)


def test_the_order_of_the_sets_and_their_blocks_does_not_matter():
    images = stamps([elliptical(seed, side=64) for seed in range(3)], 64)
    many = np.concatenate([images, np.zeros((600, 64, 64, 3), np.uint8), images])
    forward = {(match.i, match.j): match.similarity for match in same_picture(many, images)}
    backward = {(match.j, match.i): match.similarity for match in same_picture(images, many)}
    assert forward.keys() == backward.keys() == {(k, k) for k in range(3)} | {(603 + k, k) for k in range(3)}
    assert all(forward[pair] == pytest.approx(backward[pair], rel=1e-3) for pair in forward)


def real(folder: str, count: int) -> np.ndarray:
    paths = sorted(path for path in (DATA / folder).rglob("*") if path.suffix in (".png", ".jpg"))[:count]
    return np.stack([read(path) for path in paths])


@lru_cache(maxsize=1200)  # several tests compare the same folders
def read(path: Path) -> np.ndarray:
    return read_picture(path, 96).pixels


@pytest.mark.real
@needs_data
@pytest.mark.parametrize("a, b", [("des_pool", "des_fo"), ("sdss_gz2", "decals"), ("sdss_gz2", "hp_pairs/sdss")])
def test_different_real_galaxies_do_not_match(a, b):
    assert same_picture(real(a, 600), real(b, 150)) == []


@pytest.mark.real
@needs_data
@pytest.mark.parametrize("folder", ["sdss_gz2", "des_pool", "sdss_gz1_spirals"])
def test_real_galaxies_of_one_survey_are_all_different(folder):
    assert duplicates(real(folder, 400)) == []


@pytest.mark.real
@needs_data
def test_crops_of_real_test_images_are_found_among_training_images():
    paths = sorted((DATA / "sdss_gz2").rglob("*.jpg"))[:60]
    images = [Image.open(path).convert("RGB") for path in paths]
    shares = [0.375, 0.75, 1.0] * 20
    hidden = [jpeg(ImageOps.mirror(crop(i, share)), 90) for i, share in zip(images, shares, strict=True)]
    matches = same_picture(stamps([crop(i, 0.5) for i in images], 64), stamps(hidden, 64), other_widths=True)
    assert all(match.i == match.j for match in matches) and len(matches) >= 57


@pytest.mark.real
@needs_data
def test_test_images_hidden_among_training_images_are_found():
    paths = sorted((DATA / "sdss_gz2").rglob("*.jpg"))[:200]
    images = [Image.open(path).convert("RGB") for path in paths]
    hidden = [jpeg(ImageOps.mirror(image).rotate(90).resize((120, 120)), 75) for image in images[:50]]
    found = {(match.i, match.j) for match in same_picture(stamps(images), stamps(hidden))}
    assert found == {(k, k) for k in range(50)}
