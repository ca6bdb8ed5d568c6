"""From calibrated pixels to colours: centring, sky, bad pixels, and one look for two surveys."""

import numpy as np
import pytest
from astropy.stats import sigma_clipped_stats
from astropy.visualization import make_lupton_rgb
from hypothesis import given, settings
from hypothesis import strategies as st

from catbuilder.ingest.picture import QUALITY_FLAGS
from catbuilder.ingest.tiles.cutouts import section_side
from catbuilder.ingest.tiles.rendering import (
    PEDESTAL,
    SOFTENING,
    STRETCH,
    CutOut,
    Floats,
    RenderedStamp,
    lupton_colours,
    render,
    resample,
)
from catbuilder.ingest.tiles.sky_level import background
from catbuilder.simulation.galaxies import SurveyPlan, draw_galaxies
from catbuilder.simulation.galaxy import Galaxy
from catbuilder.simulation.telescopes import DES, SDSS, Scene, Telescope, stamp_pixels

WIDTH = 84.0
SIZE = 64


def blob(x: float, y: float, side: int, sigma: float = 6.0, peak: float = 30.0) -> Floats:
    """A round galaxy in three bands, (3, side, side)."""
    rows, columns = np.mgrid[:side, :side]
    light = peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return np.stack([0.5 * light, light, 1.3 * light]).astype(np.float32)


def noisy(bands: Floats, sigma: float = 0.05, level: float = 0.0) -> Floats:
    return bands + np.random.default_rng(0).normal(level, sigma, bands.shape).astype(np.float32)


def rendered(bands: Floats, bad: np.ndarray | None = None, outside: np.ndarray | None = None) -> RenderedStamp:
    nothing = np.zeros(bands.shape[1:], bool)
    middle = (bands.shape[1] - 1) / 2
    one = CutOut(bands, nothing if bad is None else bad, outside, middle, middle, WIDTH)
    return render([one], "gri", SIZE)[0]


def resampled(band: Floats, x: float, y: float, width: float, size: int) -> Floats:
    stamp = np.empty((1, size, size), np.float32)
    resample(band[None], x, y, width, stamp)
    return stamp[0]


def scene() -> Floats:
    side = section_side(WIDTH)
    return noisy(blob((side - 1) / 2, (side - 1) / 2, side))


def centroid(light: np.ndarray) -> tuple[float, float]:
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] - (np.array(light.shape)[:, None, None] - 1) / 2
    return float((light * columns).sum() / light.sum()), float((light * rows).sum() / light.sum())


@settings(deadline=None, max_examples=40)
@given(st.floats(55.0, 57.0), st.floats(55.0, 57.0), st.floats(40.0, 90.0), st.sampled_from([32, 63, 64]))
def test_a_galaxy_at_any_fraction_of_a_pixel_comes_out_in_the_middle(
    x: float, y: float, width: float, size: int
) -> None:
    stamp = resampled(blob(x, y, 113, sigma=4.0)[1], x, y, width, size)
    across, along = centroid(stamp)
    assert abs(across) * width / size < 0.03  # px of the tile
    assert abs(along) * width / size < 0.03  # px of the tile


def test_resampling_keeps_the_surface_brightness() -> None:
    flat = np.full((60, 60), 3.25, np.float32)
    np.testing.assert_allclose(resampled(flat, 30.3, 29.1, 41.7, 64), 3.25, rtol=1e-5)
    np.testing.assert_allclose(resampled(flat, 30.3, 29.1, 41.7, 16), 3.25, rtol=1e-5)


def test_the_stretch_is_that_of_lupton_and_others() -> None:
    """Against astropy's, on light without sky; ours stands on a pedestal, and is not rounded down."""
    bands = blob(32, 32, 65)
    gains = np.array([1.7, 1.0, 0.8], np.float32)[:, None, None]
    theirs = make_lupton_rgb(*(bands * gains)[::-1], stretch=STRETCH, Q=SOFTENING).astype(float)
    ours = (lupton_colours(bands, "gri").astype(float) - PEDESTAL) * 255 / (255 - PEDESTAL)
    assert np.abs(ours - theirs).max() < 2.5


def test_red_is_the_reddest_band_and_north_is_up() -> None:
    bands = np.zeros((3, 101, 101), np.float32)
    bands[2, 70:, :] = 50.0  # only i, at the upper end of the tile
    stamp = rendered(noisy(bands)).pixels.astype(int)
    assert (stamp[2, :, 0] > stamp[2, :, 2] + 50).all()
    assert stamp[-3].max() < 40


def test_the_noise_of_the_sky_keeps_its_mean() -> None:
    """A noisy sky is no brighter than a quiet one: nothing is clipped at black."""
    quiet, loud = (lupton_colours(noisy(np.zeros((3, 200, 200), np.float32), sigma), "gri") for sigma in (0.01, 0.15))
    assert abs(quiet.mean() - PEDESTAL) < 0.6
    assert abs(loud.mean() - quiet.mean()) < 0.6


def test_the_sky_is_found_under_neighbours_and_taken_off() -> None:
    bands = noisy(np.zeros((3, 40, 40), np.float32), 0.1, level=2.0).reshape(3, -1)
    bands[:, ::10] += 25.0
    (level,), (noise,) = background([bands])
    np.testing.assert_allclose(level, 2.0, atol=0.02)
    np.testing.assert_allclose(noise, 0.1, atol=0.02)
    level_sky, raised = rendered(scene()), rendered(scene() + 2.0)
    assert np.abs(level_sky.pixels.astype(int) - raised.pixels.astype(int)).max() <= 1


def test_sky_levels_are_those_of_astropys_clipping_whatever_is_measured_together() -> None:
    rng = np.random.default_rng(3)
    skies = []
    for k in range(60):
        sky = rng.normal(rng.normal(), 0.1, (3, int(rng.integers(16, 3000)))).astype(np.float32)
        sky[:, rng.random(sky.shape[1]) < 0.3 * rng.random()] += rng.exponential(3)
        skies.append(np.round(sky, 1) if k % 5 == 0 else sky)
    skies[7][0] = 1.5
    levels, noise = background(skies)
    for sky, level, sigma in zip(skies, levels, noise, strict=True):
        np.testing.assert_array_equal(level, sigma_clipped_stats(sky, stdfunc="mad_std", axis=1)[1])
        np.testing.assert_array_equal(background([sky])[1][0], sigma)
    assert noise[7, 0] == 0 and (noise[8] > 0.05).all()
    levels, noise = background([np.ones((3, 15), np.float32)])
    assert (levels == 0).all() and np.isnan(noise).all()


def test_a_stamp_is_the_same_whatever_is_rendered_with_it() -> None:
    cut_outs = []
    for k in range(50):
        width = 40.0 + 2 * k
        side = section_side(width)
        bands = noisy(blob(side / 2, side / 2, side), level=k / 10)
        outside = np.zeros((side, side), bool)
        outside[:5] = True
        cut_outs.append(CutOut(bands, bands[0] > 20 + k, outside if k % 4 == 0 else None, side / 2, side / 2.1, width))
    for one, together in zip(cut_outs, render(cut_outs, "gri", SIZE), strict=True):
        (alone,) = render([one], "gri", SIZE)
        np.testing.assert_array_equal(alone.pixels, together.pixels)
        assert (alone.flags, alone.reason) == (together.flags, together.reason)


def test_a_clean_galaxy_has_no_flag() -> None:
    stamp = rendered(scene())
    assert stamp.pixels.shape == (SIZE, SIZE, 3)
    assert stamp.pixels.dtype == np.uint8
    assert stamp.flags == ()
    assert stamp.reason is None


def test_one_bad_pixel_at_the_centre_is_flagged_and_a_few_at_the_rim_are_not() -> None:
    for place, flags in ((slice(52, 53), ("masked",)), (slice(14, 20), ())):
        bands = scene()
        bands[0, place, place] = np.nan
        stamp = rendered(bands)
        assert stamp.flags == flags
        assert np.isfinite(stamp.pixels).all()


def test_more_than_a_few_per_cent_of_bad_pixels_are_flagged_and_filled_with_sky() -> None:
    bands = scene()
    bad = np.zeros(bands.shape[1:], bool)
    bad[:, 75:] = True
    bands[:, bad] = 1e6
    stamp = rendered(bands, bad)
    assert stamp.flags == ("masked",)
    assert stamp.reason is not None and "none at the centre" in stamp.reason
    assert abs(int(stamp.pixels[:, -3:].max()) - PEDESTAL) <= 2


def test_blocks_of_zeros_in_one_band_are_bad_and_single_zeros_are_not() -> None:
    bands = scene()
    bands[1, ::7, ::7] = 0.0
    assert rendered(bands).flags == ()
    bands[1, 60:75, 20:80] = 0.0
    assert "masked" in rendered(bands).flags


def test_a_band_without_noise_was_never_exposed() -> None:
    bands = scene()
    bands[2] = 0.7
    assert "masked" in rendered(bands).flags


def test_a_box_beyond_the_tile_is_truncated_not_masked() -> None:
    bands = scene()
    outside = np.zeros(bands.shape[1:], bool)
    outside[:30] = True
    bands[:, outside] = 0.0
    stamp = rendered(bands, outside=outside)
    assert stamp.flags == ("truncated",)
    assert set(stamp.flags) <= set(QUALITY_FLAGS)
    outside[:] = False
    outside[:2] = True  # of the margin about the box: nothing of the box is missing
    assert rendered(scene(), outside=outside).flags == ()


def seen(galaxy: Galaxy, telescope: Telescope) -> np.ndarray:
    width = 22.0 / telescope.arcsec_per_pixel
    side = section_side(width)
    bands = (
        Scene(galaxy).noisy_bands(telescope, side, seed=1)[..., ::-1].transpose(2, 0, 1) / telescope.arcsec_per_pixel**2
    )
    nothing, middle = np.zeros((side, side), bool), (side - 1) / 2
    return render([CutOut(bands, nothing, None, middle, middle, width)], "gri", SIZE)[0].pixels.astype(float)


def test_a_galaxy_looks_the_same_in_both_surveys() -> None:
    """Spirals only: ellipticals look alike anyway. Brightness, colour and sky agree; seeing and noise remain."""
    galaxies = draw_galaxies(SurveyPlan(training=0, hp=24, fo=0, calibration=0, pool=0, faults=0), seed=8)[:12]
    sdss, des = (np.stack([seen(galaxy, telescope) for galaxy in galaxies]) for telescope in (SDSS, DES))

    def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(first, second, strict=True)])

    for channel in range(3):
        a, b = sdss[..., channel], des[..., channel]
        strangers = np.roll(b, 1, axis=0)
        assert correlation(a, b).mean() > 0.88
        assert correlation(a, b).mean() > correlation(a, strangers).mean() + 0.15
        assert np.abs(a - b).mean() < 0.6 * np.abs(a - strangers).mean()
        assert abs(a.mean() - b.mean()) < 2  # levels of 255: one sky, one brightness


@pytest.mark.parametrize("telescope", [SDSS, DES], ids=lambda telescope: telescope.name)
def test_the_simulator_draws_what_it_drew_before(telescope: Telescope) -> None:
    """Its colour stamps come from the same noisy pixels that are given out calibrated."""
    galaxy = draw_galaxies(SurveyPlan(training=0, hp=2, fo=0, calibration=0, pool=0, faults=0), seed=8)[0]
    pixels = stamp_pixels(telescope, 48)
    stamp = Scene(galaxy).colour_stamp(telescope, pixels, seed=1).astype(float)
    bands = Scene(galaxy).noisy_bands(telescope, pixels, seed=1)
    assert bands.shape == (pixels, pixels, 3)
    assert np.corrcoef(np.arcsinh(8 * bands[..., 1]).ravel(), stamp[..., 1].ravel())[0, 1] > 0.9
