"""The simulated volunteers: whom they misjudge, what debiasing mends, and what a cut on their votes leaves."""

import numpy as np
import pytest

from catbuilder.core.recipe import load_recipe
from catbuilder.simulation.galaxies import SurveyPlan, draw_voted_galaxies
from catbuilder.simulation.galaxy import Galaxy
from catbuilder.simulation.volunteers import CUTS, Votes

Voted = list[tuple[Galaxy, Votes]]


@pytest.fixture(scope="module")
def sky() -> dict[str, Voted]:
    """Galaxies with votes by set; FO is cut by nothing."""
    plan = SurveyPlan(training=4000, hp=200, fo=4000, calibration=5, pool=5, faults=0)
    sets: dict[str, Voted] = {}
    for galaxy, votes in draw_voted_galaxies(plan, seed=6):
        sets.setdefault(galaxy.set_name, []).append((galaxy, votes))
    return sets


def wrong_share(galaxies: Voted) -> float:
    """Mean share of the raw votes for the class that the galaxy does not have."""
    return float(np.mean([(v.elliptical if g.label == "spiral" else v.spiral) / v.volunteers for g, v in galaxies]))


@pytest.mark.parametrize("label", ["spiral", "elliptical"])
@pytest.mark.parametrize(
    "easy, difficult",
    [
        (lambda g: g.radius_arcsec > 3.5, lambda g: g.radius_arcsec < 2),
        (lambda g: g.mag_r < 16, lambda g: g.mag_r > 17.2),
        (lambda g: g.axis_ratio > 0.7, lambda g: g.axis_ratio < 0.35),
    ],
    ids=["small", "faint", "inclined"],
)
def test_volunteers_err_more_on(label, easy, difficult, sky):
    of_class = [one for one in sky["fo"] if one[0].label == label]
    errors = [wrong_share([one for one in of_class if kind(one[0])]) for kind in (easy, difficult)]
    assert errors[1] > 1.2 * errors[0] + 0.005


def test_edge_on_lenticulars_are_disputed(sky):
    edge_on = [v.spiral / v.volunteers for g, v in sky["fo"] if g.kind == "lenticular" and g.inclination_deg > 80]
    assert 0.3 < np.mean(edge_on) < 0.7


def test_some_forty_volunteers_look_at_a_galaxy(sky):
    numbers = [v.volunteers for _, v in sky["fo"]]
    assert 38 < np.mean(numbers) < 42
    assert min(numbers) >= 20


def test_debiased_shares_are_nearer_to_the_truth_for_small_and_faint_galaxies(sky):
    small = [(g, v) for g, v in sky["fo"] if g.radius_arcsec < 2.3 and g.mag_r > 17]
    true = np.mean([g.label == "spiral" for g, _ in small])
    raw = np.mean([v.spiral / (v.spiral + v.elliptical) for _, v in small])
    debiased = np.mean([v.spiral_debiased / (v.spiral_debiased + v.elliptical_debiased) for _, v in small])
    assert raw < debiased < true + 0.05
    assert abs(debiased - true) < 0.6 * abs(raw - true)
    for _, v in sky["fo"]:
        both = (v.spiral + v.elliptical) / v.volunteers
        assert v.spiral_debiased + v.elliptical_debiased == pytest.approx(both)


def test_the_cut_leaves_the_planned_number_with_a_few_wrong_labels(sky):
    training = sky["training"]
    assert [v.label for _, v in training].count("spiral") == len(training) / 2 == 2000
    assert all(v.share(v.label) > CUTS[v.label] for _, v in training + sky["hp"])
    wrong = np.mean([v.label != g.label for g, v in training])
    assert 0.01 < wrong < 0.045
    uncut = np.mean([v.label != g.label for g, v in sky["fo"]])
    assert uncut > 2 * wrong, "without the cut, volunteers are wrong more often"


def test_the_cuts_are_those_of_the_recipe_of_the_paper():
    assert load_recipe("paper").sets.cuts == CUTS


def test_the_cut_leaves_out_the_difficult_ones(sky):
    for measure in (lambda g: g.radius_arcsec, lambda g: -g.mag_r, lambda g: g.axis_ratio):
        trained, all_of_them = (np.median([measure(g) for g, _ in sky[name]]) for name in ("training", "fo"))
        assert trained > all_of_them


def test_only_what_sdss_saw_has_votes(sky):
    assert {name: {v is None for _, v in members} for name, members in sky.items()} == {
        "training": {False}, "hp": {False}, "fo": {False}, "calibration": {True}, "pool": {True}
    }  # fmt: skip
