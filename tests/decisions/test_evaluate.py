"""Metrics against small cases worked by hand."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from support.workspaces import ask, surveyed

from catbuilder.decisions.evaluate import evaluate_round
from catbuilder.decisions.measures import classification_metrics

CLASSES = ("elliptical", "spiral")


def posterior(*p_elliptical):
    return np.array([(p, 1 - p) for p in p_elliptical]).reshape(-1, 2)


def pick(metrics, name, coverage=1.0, label=None, predicted=None):
    (found,) = [
        m for m in metrics if (m.metric, m.coverage, m.label, m.predicted) == (name, coverage, label, predicted)
    ]
    return found


def wilson(k, n, z=1.959963984540054):
    """Wilson 1927; Brown, Cai and DasGupta 2001, equation 4."""
    centre, half = (k + z * z / 2) / (n + z * z), z / (n + z * z) * sqrt(k * (n - k) / n + z * z / 4)
    return centre - half, centre + half


#     truth:  e    e    e    s    s    s
TRUTH = np.array([0, 0, 0, 1, 1, 1])
SCORED = posterior(0.9, 0.8, 0.4, 0.45, 0.7, 0.05)  # right, right, wrong, right, wrong, right


def test_accuracy_precision_recall_f1_and_confusion_by_hand():
    metrics = classification_metrics(TRUTH, SCORED, CLASSES)
    assert pick(metrics, "accuracy").value == pytest.approx(4 / 6)
    assert pick(metrics, "precision", label="elliptical").value == pytest.approx(2 / 3)
    assert pick(metrics, "recall", label="spiral").value == pytest.approx(2 / 3)
    assert pick(metrics, "f1", label="spiral").value == pytest.approx(2 / 3)
    counts = [[pick(metrics, "confusion", label=t, predicted=p).value for p in CLASSES] for t in CLASSES]
    assert counts == [[2, 1], [1, 2]]
    assert {m.n for m in metrics if m.metric in ("accuracy", "confusion")} == {6, 3}


def test_auc_is_the_share_of_pairs_in_the_right_order():
    pairs = [(e > s) + 0.5 * (e == s) for e in SCORED[:3, 0] for s in SCORED[3:, 0]]
    auc = pick(classification_metrics(TRUTH, SCORED, CLASSES), "auc", label="elliptical").value
    assert auc == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 9), (450, 500)])
def test_the_interval_is_wilsons(k, n):
    truth = np.zeros(n, int)
    scored = posterior(*[0.9] * k, *[0.1] * (n - k))
    accuracy = pick(classification_metrics(truth, scored, CLASSES), "accuracy")
    assert (accuracy.low, accuracy.high) == pytest.approx(wilson(k, n), abs=1e-9)
    assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1
    assert (accuracy.low == 0, accuracy.high == 1) == (k == 0, k == n)


def test_half_coverage_keeps_the_surest_half_rounded_up():
    metrics = classification_metrics(TRUTH, SCORED, CLASSES)
    # the surest three are 0.05 (right), 0.9 (right) and 0.8 (right)
    half = pick(metrics, "accuracy", coverage=0.5)
    assert (half.value, half.n) == (1.0, 3)
    assert pick(classification_metrics(TRUTH[:5], SCORED[:5], CLASSES), "accuracy", coverage=0.5).n == 3


def test_ties_of_confidence_are_broken_by_the_order_given():
    # equally sure; the first three, the ellipticals, count
    half = pick(classification_metrics(TRUTH, posterior(*[0.6] * 6), CLASSES), "accuracy", coverage=0.5)
    assert (half.value, half.n) == (1.0, 3)


def test_unscorable_objects_are_counted_and_counted_as_wrong():
    metrics = classification_metrics(TRUTH, SCORED, CLASSES, unscorable=2)
    assert (pick(metrics, "scored").value, pick(metrics, "scored").n) == (6, 8)
    assert pick(metrics, "unscorable").value == 2
    assert pick(metrics, "accuracy").value == pytest.approx(4 / 6)
    strict = pick(metrics, "accuracy_unscorable_wrong")
    assert strict.value == pytest.approx(4 / 8) and (strict.low, strict.high) == pytest.approx(wilson(4, 8))


def test_a_set_of_which_nothing_could_be_scored_has_no_accuracy_but_a_count():
    metrics = classification_metrics(np.empty(0, int), np.empty((0, 2)), CLASSES, unscorable=3)
    assert pick(metrics, "unscorable").value == 3 and pick(metrics, "accuracy_unscorable_wrong").value == 0
    assert not [m for m in metrics if m.metric == "accuracy"]
    assert [m.value for m in classification_metrics(np.empty(0, int), np.empty((0, 2)), CLASSES)] == [0, 0]


def test_a_set_of_one_class_has_no_auc_and_an_unknown_recall_of_the_other():
    metrics = classification_metrics(np.zeros(3, int), posterior(0.9, 0.8, 0.7), CLASSES)
    assert not [m for m in metrics if m.metric == "auc"]
    other = pick(metrics, "recall", label="spiral")
    assert (other.value, other.low, other.high, other.n) == (None, 0.0, 1.0, 0)
    assert pick(metrics, "accuracy").value == 1.0


def test_more_than_two_classes():
    scored = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.5, 0.1, 0.4]])
    metrics = classification_metrics(np.array([0, 1, 2]), scored, ("a", "b", "c"))
    assert pick(metrics, "confusion", label="c", predicted="a").value == 1
    assert pick(metrics, "recall", label="c").value == 0 and pick(metrics, "auc", label="c").value == 1.0


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(
    st_numpy.arrays(np.int64, n, elements=st.integers(0, 1)),
    st_numpy.arrays(np.float64, n, elements=st.floats(0, 1)),
)))  # fmt: skip
def test_counts_add_up_whatever_the_scores(drawn):
    truth, p = drawn
    metrics = classification_metrics(truth, posterior(*p), CLASSES)
    for coverage, n in ((1.0, len(truth)), (0.5, -(-len(truth) // 2))):
        confusion = [m for m in metrics if m.metric == "confusion" and m.coverage == coverage]
        assert sum(m.value for m in confusion) == n
        right = sum(m.value for m in confusion if m.label == m.predicted)
        assert pick(metrics, "accuracy", coverage).value == pytest.approx(right / n)


# --- on a catalogue


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return surveyed(tmp_path_factory.mktemp("evaluate") / "ws")


def test_a_test_set_is_measured_in_its_survey_and_its_unscorable_members_are_counted(survey):
    rows = ask(survey, "SELECT round, test_set, survey, metric, value, n FROM metrics WHERE metric IN "
               "('scored', 'unscorable', 'accuracy_unscorable_wrong') AND round = 1 ORDER BY metric")  # fmt: skip
    assert [row[:3] for row in rows] == [(1, "HP", "des")] * 3
    assert [(row[3], row[5]) for row in rows] == [
        ("accuracy_unscorable_wrong", 3), ("scored", 3), ("unscorable", 3)]  # fmt: skip
    assert [row[4] for row in rows] == [pytest.approx(2 / 3), 2, 1]


def test_a_set_without_truth_is_scored_and_not_measured(survey):
    with survey.recording("a set without truth") as recording:
        recording.con.execute("INSERT INTO test_sets VALUES ('FO', 'des', 8, NULL, NULL, 1, ?, NULL)", [recording.run])
        assert set(evaluate_round(recording.con, 1, CLASSES)["test_set"].to_pylist()) == {"HP"}


def test_validation_is_measured_beside_the_test_sets_and_an_unknown_round_gives_nothing(survey):
    with survey.recording("validation") as recording:
        recording.con.execute("INSERT INTO training VALUES (1, 'des', 8, 'validation', 'spiral', 'human', 1)")
        assert set(evaluate_round(recording.con, 1, CLASSES)["test_set"].to_pylist()) == {"HP", "validation"}
        nobody = evaluate_round(recording.con, 9, CLASSES)
        assert set(nobody["metric"].to_pylist()) <= {"scored", "unscorable", "accuracy_unscorable_wrong"}
