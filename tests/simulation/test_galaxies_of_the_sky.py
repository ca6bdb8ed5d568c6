"""The galaxies of the simulated sky: nothing that a catalogue lists gives the class away, and the air varies."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from catbuilder.simulation.exposures import draw_exposures
from catbuilder.simulation.galaxies import SurveyPlan, draw_galaxies
from catbuilder.simulation.galaxy import Galaxy


@pytest.fixture(scope="module")
def fo() -> list[Galaxy]:
    """Galaxies as they are on the sky, without a cut on votes."""
    return draw_galaxies(SurveyPlan(training=0, hp=0, fo=3000, calibration=0, pool=0, faults=0), seed=5)


def spirals(galaxies: list[Galaxy]) -> np.ndarray:
    return np.array([g.label == "spiral" for g in galaxies])


def values(galaxies: list[Galaxy], name: str) -> np.ndarray:
    return np.array([getattr(g, name) for g in galaxies])


def colours(galaxies: list[Galaxy]) -> np.ndarray:
    """Colours g - r and r - i, shape (n, 2)."""
    return -np.diff([g.magnitudes() for g in galaxies], axis=1)


def test_the_axis_ratio_does_not_give_the_class_away(fo):
    ratios, is_spiral = values(fo, "axis_ratio"), spirals(fo)
    assert 0.5 < roc_auc_score(~is_spiral, ratios) < 0.65
    assert ratios[~is_spiral].min() < 0.22
    # Of the elongated ones, many are early types: a network sure of a spiral by its elongation is often wrong.
    assert (~is_spiral)[ratios < 0.35].mean() > 0.25


def test_lenticulars_are_discs_without_arms_and_count_as_ellipticals(fo):
    lenticulars = [g for g in fo if g.kind == "lenticular"]
    assert 0.4 < len(lenticulars) / (~spirals(fo)).sum() < 0.6
    for galaxy in lenticulars:
        assert galaxy.label == "elliptical"
        assert galaxy.fraction("bulge") > 0 and galaxy.fraction("disc") > 0
        assert galaxy.fraction("arms") == galaxy.fraction("lane") == 0


def test_colour_helps_as_much_as_on_the_real_sky(fo):
    """On galaxies that SDSS and DES both saw, the colour g - i alone has an AUC of 0.83."""
    assert 0.78 < roc_auc_score(~spirals(fo), colours(fo).sum(axis=1)) < 0.88


def test_catalogued_quantities_alone_leave_a_sixth_of_the_galaxies_wrong(fo):
    catalogued = np.column_stack(
        [colours(fo), values(fo, "mag_r"), np.log(values(fo, "radius_arcsec")), values(fo, "axis_ratio")]
    )
    accuracy = cross_val_score(make_pipeline(StandardScaler(), LogisticRegression()), catalogued, spirals(fo), cv=5)
    assert 0.75 < accuracy.mean() < 0.86


def test_inclined_spirals_are_redder_and_fainter_for_their_size(fo):
    discs = [g for g in fo if g.kind == "spiral"]
    tilted, red = values(discs, "inclination_deg") > 75, colours(discs)[:, 0]
    assert 0.05 < np.median(red[tilted]) - np.median(red[values(discs, "inclination_deg") < 45]) < 0.3
    dimming = values(discs, "mag_r") + np.log10(values(discs, "radius_arcsec")) / 0.15
    assert np.median(dimming[tilted]) > np.median(dimming[~tilted]) + 0.2
    assert all((g.fraction("lane") < 0) == (g.inclination_deg > 62) for g in discs)
    assert all(sum(light.fraction for light in g.lights) == pytest.approx(1) for g in fo)


def test_the_fainter_the_more_spirals_and_the_smaller(fo):
    mag_r, radius = values(fo, "mag_r"), values(fo, "radius_arcsec")
    bright, faint = mag_r < 16, mag_r > 17.2
    assert spirals(fo)[faint].mean() > spirals(fo)[bright].mean() + 0.15
    assert np.median(radius[faint]) < 0.75 * np.median(radius[bright])


def test_seeing_and_noise_belong_to_the_place_and_differ_between_places():
    rng = np.random.default_rng(0)
    apart = np.column_stack([rng.uniform(0, 90, 800), rng.uniform(-50, 0, 800)])
    for survey in ("sdss", "des"):
        exposures = draw_exposures(apart, survey, seed=2)
        assert draw_exposures(apart[::-1], survey, seed=2)[::-1] == exposures
        assert draw_exposures(apart + 0.003, survey, seed=2)[0] == exposures[0], "11 arcsec away is the same tile"
        assert draw_exposures(apart, survey, seed=3) != exposures
        seeing, noise = np.array([[one.seeing, one.noise] for one in exposures]).T
        assert np.median(seeing) == pytest.approx(1, abs=0.03)
        assert np.std(np.log(seeing)) == pytest.approx(0.1, rel=0.15)
        assert np.std(np.log(noise)) == pytest.approx({"sdss": 0.06, "des": 0.2}[survey], rel=0.15)
