"""The study with known truth: its sky is what it says, and a small run of it ends as it should."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "study"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))


def test_masses_between_earlier_cuts_are_those_of_counting():
    from known_truth import FINE, Cut, Leftover, Network, Sky

    sky = Sky(separation=2.5, ratio=4.0, fade=0.2, shift=0.5)
    earlier = Cut(Network(np.array([2.5, 0.6]), 0.1), low=-2.0, high=3.0)
    later = Network(np.array([2.4, -0.5]), 0.0)
    left = Leftover(sky, (earlier,), FINE)
    n = 1_000_000
    features, truth = sky.draw(np.random.default_rng(1), n, sky.shift)
    kept = earlier.leaves(features)
    assert left.mass == pytest.approx(kept.mean(), abs=4 * 0.5 / np.sqrt(n))
    for predicted, at in ((0, -1.5), (1, 1.0), (1, 2.5)):
        logit = later.logit(features)
        above = kept & (logit >= at if predicted else logit <= at)
        counted = [(above & (truth == t)).mean() for t in (0, 1)]
        found = left.masses(later, predicted, np.array([at]))[:, 0]
        np.testing.assert_allclose(found, counted, atol=4 * np.sqrt(max(counted) / n))


def test_a_network_learns_the_log_odds_of_its_sky():
    from known_truth import Moments, Network, Sky

    features, truth = Sky(separation=3.0, ratio=5.0).draw(np.random.default_rng(2), 400_000)
    network = Network.trained(Moments.of(features, truth), sharpness=2.0)
    # separation * first feature - ln ratio, twice as sure
    np.testing.assert_allclose(network.weights, [6.0, 0.0], atol=0.05)
    assert network.intercept == pytest.approx(-2 * np.log(5), abs=0.05)


def test_a_catalogue_follows_from_its_seed_and_the_oracle_takes_more_than_a_certificate_that_holds():
    from known_rounds import ROW, Setting, follow
    from known_truth import Sky

    setting = Setting(0.05, Sky(3.3, 1.0), half=1000)
    once, again, other = (np.array(list(follow(setting, 0, c, 0)), ROW) for c in (0, 0, 1))
    assert once.tobytes() == again.tobytes() != other.tobytes()
    certified = once[once["rule"] == "certified"]
    promoted = certified[certified["promoted"] & ~certified["over"]]
    assert len(promoted) >= 2
    assert np.all(promoted["yield"] <= 1.01)
    assert np.all(certified["attainable"] <= 1 + 1e-9)


def test_what_cuts_have_taken_together_is_what_counting_finds():
    from known_truth import FINE, Cut, Leftover, Network, Sky

    sky = Sky(separation=2.5, ratio=4.0)
    cuts = tuple(Cut(Network(np.array([2.5, slope]), 0.1), low=-2.0, high=1.5) for slope in (0.6, -0.4))
    every = Leftover(sky, cuts, FINE)
    n = 1_000_000
    features, truth = sky.draw(np.random.default_rng(3), n)
    for predicted in (0, 1):
        taken = np.logical_or.reduce([cut.takes(cut.network.logit(features), predicted) for cut in cuts])
        counted = [(taken & (truth == t)).mean() for t in (0, 1)]
        np.testing.assert_allclose(every.taken(predicted), counted, atol=4 * np.sqrt(max(counted) / n))


def test_a_catalogue_that_certifies_the_whole_pool_begins_like_the_one_that_does_not():
    from dataclasses import replace

    from known_rounds import ROW, Setting, follow
    from known_truth import Sky

    setting = Setting(0.05, Sky(3.3, 1.0), half=1000)
    left = np.array(list(follow(setting, 0, 0, 0)), ROW)
    whole = np.array(list(follow(replace(setting, whole=True, like=0), 60, 0, 0)), ROW)
    columns = ["round", "predicted", "promoted", "over", "yield", "labelled"]
    of_first = [rows[(rows["rule"] == "certified") & (rows["round"] == 1)][columns] for rows in (left, whole)]
    assert of_first[0].tolist() == of_first[1].tolist()
    assert set(whole["rule"]) == {"certified"} and set(whole["round"]) == {1, 2, 3, 4, 5}
    assert whole["promoted"].any() and not whole["over"].any()
    for predicted in (0, 1):
        labelled = whole["labelled"][whole["predicted"] == predicted]
        assert np.all(np.diff(labelled) >= 0), "what is labelled stays so"


def test_a_small_study_keeps_its_promises_and_says_the_worst_rate_last():
    command = [sys.executable, str(SCRIPTS / "certificates.py"), "--catalogues", "1", "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("worst violation rate: ")
    assert sum(line.startswith("| certified |") for line in lines) == 2
    assert "100% of the catalogues" in done.stderr
