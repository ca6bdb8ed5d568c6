"""Purity and completeness in bins, and red spirals: hand-worked, against scikit-learn, and through a catalogue."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from sklearn.metrics import precision_score, recall_score
from support.new_workspace import create_workspace
from support.workspaces import SIZE, add_events, add_objects, ask, cli, close_round, label_event

from catbuilder.catalogue.workspace import Workspace
from catbuilder.decisions.binned_accuracy import (
    MAX_BINS,
    MIN_OBJECTS,
    colour_metrics,
    purity_and_completeness,
    quantile_edges,
)

CLASSES = ("elliptical", "spiral")
E, S = 0, 1


def values(metrics, name, label):
    return [(m.bin_low, m.bin_high, m.value, m.n) for m in metrics if (m.metric, m.label) == (name, label)]


# --- bins


def test_bins_hold_equally_many_and_few_objects_make_few_bins():
    assert [len(quantile_edges(np.arange(n))) - 1 for n in (1, 39, 40, 60, 10_000)] == [1, 1, 2, 3, MAX_BINS]
    counts, _ = np.histogram(np.arange(1000), quantile_edges(np.arange(1000)))
    assert counts.min() >= MIN_OBJECTS and counts.max() - counts.min() <= 1
    assert not len(quantile_edges(np.empty(0)))
    assert list(quantile_edges(np.full(50, 17.0))) == [17, 17]


@given(st_numpy.arrays(np.float64, st.integers(0, 150), elements=st.one_of(
    st.floats(10, 20), st.sampled_from([15.0, np.nan]))))  # fmt: skip
def test_every_measured_object_stands_in_one_bin(magnitudes):
    truth = np.arange(len(magnitudes)) % 2
    metrics = purity_and_completeness(truth, truth, "mag_r", magnitudes, CLASSES)
    for name in ("purity", "completeness"):
        assert sum(m.n for m in metrics if m.metric == name) == np.isfinite(magnitudes).sum()
    assert all(m.value in (None, 1.0) for m in metrics)


# --- purity and completeness


def test_purity_and_completeness_by_hand():
    # 40 objects, two bins of 20: bright ones all right, of the faint spirals half are called elliptical
    magnitudes = np.arange(40.0)
    truth = np.array([E, S] * 20)
    predicted = truth.copy()
    predicted[21::4] = E  # five of the ten faint spirals
    metrics = purity_and_completeness(truth, predicted, "mag_r", magnitudes, CLASSES)
    assert {m.variable for m in metrics} == {"mag_r"}
    assert values(metrics, "purity", "elliptical") == [(0, 19.5, 1, 10), (19.5, 39, pytest.approx(10 / 15), 15)]
    assert values(metrics, "completeness", "elliptical") == [(0, 19.5, 1, 10), (19.5, 39, 1, 10)]
    assert values(metrics, "purity", "spiral") == [(0, 19.5, 1, 10), (19.5, 39, 1, 5)]
    assert values(metrics, "completeness", "spiral") == [(0, 19.5, 1, 10), (19.5, 39, 0.5, 10)]


def test_they_are_the_precision_and_recall_of_scikit_learn_in_each_bin():
    random = np.random.default_rng(1)
    truth, predicted, size = random.integers(0, 3, 300), random.integers(0, 3, 300), random.gamma(2, 2, 300)
    classes = ("a", "b", "c")
    for m in purity_and_completeness(truth, predicted, "radius_arcsec", size, classes):
        here = (size >= m.bin_low) & ((size < m.bin_high) | (size == size.max()) & (m.bin_high == size.max()))
        score = precision_score if m.metric == "purity" else recall_score
        assert m.value == pytest.approx(score(truth[here] == classes.index(m.label), predicted[here] ==
                                              classes.index(m.label)))  # fmt: skip


def test_a_class_without_predictions_in_a_bin_has_an_unknown_purity():
    metrics = purity_and_completeness(np.zeros(5, int), np.zeros(5, int), "g_r", np.linspace(0, 1, 5), CLASSES)
    assert values(metrics, "purity", "spiral") == [(0, 1, None, 0)]
    assert not purity_and_completeness(np.zeros(5, int), np.zeros(5, int), "g_r", np.full(5, np.nan), CLASSES)


# --- colour


def test_red_spirals_and_blue_ellipticals_by_hand():
    #              e    e    e    s    s    s, and one without a colour
    g_r = np.array([0.9, 0.8, 0.4, 0.3, 0.5, 0.7, np.nan])
    truth = np.array([E, E, E, S, S, S, S])
    predicted = np.array([E, E, S, S, S, S, E])
    red, blue, alone = colour_metrics(truth, predicted, g_r, CLASSES, None)
    # between the medians 0.8 and 0.5
    assert (red.variable, red.label, red.bin_low, red.value, red.n) == ("red spiral", "spiral", 0.65, 1, 1)
    assert (blue.variable, blue.label, blue.bin_high) == ("blue elliptical", "elliptical", 0.65)
    assert (blue.value, blue.n) == (0, 1)
    # of nine pairs the elliptical is redder in seven: not 0.4 against 0.5 and 0.7
    assert (alone.metric, alone.value, alone.n) == ("colour_auc", pytest.approx(7 / 9), 6)


def test_a_split_that_is_given_stands_and_a_set_without_red_spirals_is_unknown():
    red, blue, _ = colour_metrics(np.array([E, S]), np.array([E, S]), np.array([0.9, 0.3]), CLASSES, 0.95)
    assert (red.value, red.n, red.low, red.high) == (None, 0, 0, 1) and (blue.value, blue.n) == (1, 1)


@pytest.mark.parametrize("split", [None, 0.6])
def test_other_classes_or_no_colours_give_no_metrics(split):
    truth, g_r = np.array([0, 1]), np.array([0.9, 0.3])
    assert colour_metrics(truth, truth, g_r, ("smooth", "featured"), split) == []
    assert colour_metrics(truth, truth, np.full(2, np.nan), CLASSES, split) == []


# --- on a catalogue

MEMBERS = 60


def measured_workspace(folder, own_magnitudes, trained_in=("sdss", "des")):
    """HP in sdss, all matched with des; ellipticals are red. Only des has magnitudes, unless sdss has its own.

    The training objects are matched too, and 0.3 mag bluer in the system of des; `trained_in` measured them.
    """
    workspace = create_workspace(folder, stamp_size=SIZE)
    colour = [0.9 - 0.5 * (n % 2) for n in range(MEMBERS)]
    bright = [15 + n / 20 for n in range(MEMBERS)]
    photometry = {"mag_r": bright, "mag_g": [r + c for r, c in zip(bright, colour, strict=True)]}
    with workspace.recording("objects") as recording:
        con, run = recording.con, recording.run
        add_objects(recording, "des", range(1000, 1000 + MEMBERS), radius_arcsec=[9.0] * MEMBERS, **photometry)
        own = {name: [v + 0.5 for v in column] for name, column in photometry.items()} if own_magnitudes else {}
        if own_magnitudes:  # and a few radii of its own
            own["radius_arcsec"] = [4.0] * 10 + [None] * (MEMBERS - 10)
        add_objects(recording, "sdss", range(1, MEMBERS + 1), **own)
        con.execute("INSERT INTO crossmatches VALUES ('sdss', 'des', 1.0, ?, 1, ?)", [MEMBERS, run])
        for n in range(MEMBERS):
            con.execute("INSERT INTO matches VALUES ('sdss', ?, 'des', ?, 0.1, 1, ?)", [n + 1, 1000 + n, run])
            con.execute("INSERT INTO test_sets VALUES ('HP', 'sdss', ?, ?, NULL, 1, ?, NULL)",
                        [n + 1, CLASSES[n % 2], run])  # fmt: skip
        # an elliptical of colour 1.2 and a spiral of 0.8 were trained on as labelled, one of 0.1 as promoted
        for survey, ids, bluer in (("sdss", [501, 502, 503], 0.0), ("des", [1501, 1502, 1503], 0.3)):
            colours = {"mag_g": [18.2 - bluer, 17.8 - bluer, 17.1 - bluer], "mag_r": [17.0] * 3}
            add_objects(recording, survey, ids, split="train", **(colours if survey in trained_in else {}))
        for n in (501, 502, 503):
            con.execute("INSERT INTO matches VALUES ('sdss', ?, 'des', ?, 0.1, 1, ?)", [n, 1000 + n, run])
        con.execute("INSERT INTO training VALUES (1, 'sdss', 503, 'training', 'spiral', 'promoted', ?)", [run])
        add_events(recording, label_event("sdss", 501, "elliptical"), label_event("sdss", 502, "spiral"))
    trained = [("sdss", 501, "training", "elliptical"), ("sdss", 502, "training", "spiral")]
    close_round(workspace, {("sdss", n + 1): (0.8, 0.2) if n % 2 == 0 else (0.1, 0.9) for n in range(MEMBERS)},
                trained_on=trained)  # fmt: skip
    return workspace


@pytest.fixture(scope="module")
def borrowed(tmp_path_factory):
    return measured_workspace(tmp_path_factory.mktemp("slices") / "ws", own_magnitudes=False)


def test_magnitudes_of_the_matched_counterpart_serve_a_set_without_its_own(borrowed):
    rows = ask(borrowed, "SELECT DISTINCT bin_low, bin_high FROM metrics WHERE variable = 'mag_r' ORDER BY 1")
    assert len(rows) == MEMBERS // MIN_OBJECTS
    assert (rows[0][0], rows[-1][1]) == (pytest.approx(15), pytest.approx(15 + (MEMBERS - 1) / 20))
    assert ask(borrowed, "SELECT DISTINCT bin_low, bin_high FROM metrics WHERE variable = 'radius_arcsec'") == [(9, 9)]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return measured_workspace(tmp_path_factory.mktemp("own") / "ws", own_magnitudes=True)


def test_a_sets_own_magnitudes_stand(own):
    ((least,),) = ask(own, "SELECT min(bin_low) FROM metrics WHERE variable = 'mag_r'")
    assert least == pytest.approx(15.5)


def test_all_radii_are_of_the_survey_that_measured_most_whoever_measured_the_magnitudes(own):
    # ten have a radius of 4 arcsec in sdss, all one of 9 in des
    rows = ask(own, "SELECT DISTINCT bin_low, bin_high FROM metrics WHERE variable = 'radius_arcsec'")
    assert rows == [(9, 9)]


def test_colours_are_as_exact_as_the_catalogue(borrowed):
    assert ask(borrowed, "SELECT min(bin_low), max(bin_high) FROM metrics WHERE variable = 'g_r'") == [(0.4, 0.9)]


def colour_rows(workspace):
    return ask(workspace, "SELECT variable, coalesce(bin_low, bin_high), value, n FROM metrics "
               "WHERE variable IN ('red spiral', 'blue elliptical') ORDER BY 1 DESC")  # fmt: skip


def test_the_split_colour_is_that_of_the_asserted_training_objects(own):
    # between 1.2 and 0.8 in sdss: no galaxy of the test set is as red
    assert colour_rows(own) == [("red spiral", 1.0, None, 0), ("blue elliptical", 1.0, 1, MEMBERS / 2)]
    assert ask(own, "SELECT value, n FROM metrics WHERE metric = 'colour_auc'") == [(1, MEMBERS)]


def test_colours_of_another_survey_are_split_in_its_own_system(borrowed):
    # the same training galaxies have 0.9 and 0.5 in des, which measured the set
    assert colour_rows(borrowed) == [("red spiral", 0.7, None, 0), ("blue elliptical", 0.7, None, 0)]


@pytest.mark.parametrize("trained_in", [(), ("sdss",)])
def test_a_set_splits_itself_where_its_survey_did_not_measure_what_was_trained_on(tmp_path, trained_in):
    workspace = measured_workspace(tmp_path / "ws", own_magnitudes=False, trained_in=trained_in)
    assert colour_rows(workspace) == [("red spiral", 0.65, None, 0), ("blue elliptical", 0.65, None, 0)]


# --- the command


@pytest.mark.parametrize(("by", "rows"), [("mag_r", 6), ("radius_arcsec", 2), ("colour", 2)])
def test_metrics_by_a_variable_are_a_line_a_class_and_bin(borrowed, by, rows):
    found = json.loads(cli("-w", borrowed.path, "metrics", "--by", by, "--format", "json").out)
    assert len(found) >= rows and {row["class"] for row in found} == set(CLASSES)
    assert {row["purity"] for row in found if row["n_predicted"]} == {1.0}
    assert sum(row["n_true"] for row in found) == MEMBERS


def test_bins_of_colour_include_red_spirals(borrowed):
    told = cli("-w", borrowed.path, "metrics", "--by", "colour").out
    assert "red spiral" in told and "blue elliptical" in told and "AUC of colour alone" in told


def test_bins_are_of_the_latest_round_or_of_the_rounds_asked_for(borrowed, copy_of):
    workspace = Workspace.open(copy_of(borrowed.path))
    close_round(workspace, {("sdss", n + 1): (0.8, 0.2) for n in range(MEMBERS)})

    def rounds(*options):
        rows = json.loads(cli("-w", workspace.path, "metrics", "--by", "mag_r", *options, "--format", "json").out)
        return {row["round"] for row in rows}

    assert rounds() == {2} and rounds("--round", 1) == {1} and rounds("--round", 1, "--round", 2) == {1, 2}


def test_a_round_without_bins_does_not_hide_those_of_the_one_before(borrowed, copy_of):
    workspace = Workspace.open(copy_of(borrowed.path))
    close_round(workspace, {("sdss", n + 1): (0.8, 0.2) for n in range(MEMBERS)})
    with workspace.recording("as an older catbuilder measured it") as recording:
        recording.con.execute("DELETE FROM metrics WHERE round = 2 AND (variable IS NOT NULL OR metric = 'colour_auc')")
    rows = json.loads(cli("-w", workspace.path, "metrics", "--by", "mag_r", "--format", "json").out)
    assert {row["round"] for row in rows} == {1}
    assert "red spiral" in cli("-w", workspace.path, "metrics", "--by", "colour").out
    none = cli("-w", workspace.path, "metrics", "--by", "colour", "--round", 2)
    assert "older catbuilder" in none.err and "run another round" in none.err


def test_bins_do_not_disturb_the_summary(borrowed):
    (row,) = json.loads(cli("-w", borrowed.path, "metrics", "--format", "json").out)
    assert (row["n"], row["accuracy"], row["aurc"], row["precision"], row["auc"]) == (MEMBERS, 1, 0, 1, 1)


def test_all_and_by_together_are_a_mistake_of_usage(borrowed):
    done = cli("-w", borrowed.path, "metrics", "--all", "--by", "mag_r")
    assert done.code == 2 and "not both" in done.err


def test_without_bins_the_command_says_why_and_what_to_do(tmp_path):
    workspace = create_workspace(tmp_path / "ws", stamp_size=SIZE)

    def told(by="mag_r"):
        done = cli("-w", workspace.path, "metrics", "--by", by)
        assert done.code == 0 and done.out.strip() == "no rows"
        return done.err

    assert "No round has been run yet" in told()
    with workspace.recording("objects") as recording:
        add_objects(recording, "sdss", [1])
    close_round(workspace, {("sdss", 1): (0.8, 0.2)})
    assert "catbuilder testset" in told()
    with workspace.recording("a test set") as recording:
        recording.con.execute(
            "INSERT INTO test_sets VALUES ('HP', 'sdss', 1, 'spiral', NULL, 1, ?, NULL)", [recording.run]
        )
    close_round(workspace, {("sdss", 1): (0.8, 0.2)})
    assert "magnitude in g and r" in told("colour") and "a radius" in told("radius_arcsec")
    assert "catbuilder crossmatch" in told() and "run another round" in told() and "des" not in told().split()
