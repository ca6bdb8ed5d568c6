"""Risk against coverage: worked by hand, against brute force over all orders, and drawn."""

import re
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.new_workspace import create_workspace
from support.workspaces import SIZE, add_objects, ask, cli, close_round, failed, surveyed

from catbuilder.decisions.measures import CURVE, accuracy_curve, aurc
from catbuilder.reports.accuracy_figure import draw_accuracy


def scored(confidence, right):
    """Truth and posterior of objects of class 0 that the network calls 0 where it is right."""
    p = np.where(right, confidence, 1 - np.array(confidence))
    return np.zeros(len(p), int), np.column_stack([p, 1 - p])


def mean_risk(right):
    """The definition, one prefix at a time; `right` from the surest on."""
    return np.mean([1 - np.mean(right[:k]) for k in range(1, len(right) + 1)])


# --- the curve


def test_accuracy_at_each_coverage_is_that_of_the_surest():
    # the surest first: right, right, wrong, right
    curve = accuracy_curve(*scored([0.9, 0.8, 0.7, 0.6], [True, True, False, True]), (0.25, 0.5, 0.75, 1.0))
    assert [(m.value, m.n) for m in curve] == [(1, 1), (1, 2), (pytest.approx(2 / 3), 3), (0.75, 4)]
    assert all(m.low <= m.value <= m.high + 1e-9 for m in curve)


def test_the_curve_has_steps_of_a_twentieth_that_keep_whole_objects():
    curve = accuracy_curve(*scored(np.linspace(0.99, 0.6, 20), np.ones(20, bool)))
    assert [m.coverage for m in curve] == list(CURVE) and (CURVE[0], CURVE[-1]) == (0.05, 1.0)
    assert [m.n for m in curve] == list(range(1, 21))  # 0.55 of 20 is 11


# --- the area


def test_the_area_by_hand():
    truth, posterior = scored([0.9, 0.8, 0.7, 0.6], [True, True, False, True])
    assert aurc(truth, posterior).value == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    assert aurc(truth[::-1], posterior[::-1]).value == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)


def test_without_an_error_the_area_is_nothing_and_with_errors_alone_it_is_one():
    assert aurc(*scored([0.9, 0.8], [True, True])).value == 0
    wrong = aurc(*scored([0.9, 0.8], [False, False]))
    assert (wrong.value, wrong.low, wrong.high, wrong.n) == (1, 1, 1, 2)


def test_objects_of_equal_confidence_count_as_the_mean_over_their_orders():
    confidence, right = [0.9, 0.8, 0.8, 0.8, 0.6], [True, False, True, True, False]
    orders = [[right[0], *middle, right[4]] for middle in permutations(right[1:4])]
    assert aurc(*scored(confidence, right)).value == pytest.approx(np.mean([mean_risk(order) for order in orders]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.55, 0.6, 0.7, 0.8, 0.95]), st.booleans()), min_size=1, max_size=30))
def test_the_area_does_not_depend_on_the_order_of_the_rows_and_lies_in_its_interval(objects):
    confidence, right = map(list, zip(*objects, strict=True))
    there, back = aurc(*scored(confidence, right)), aurc(*scored(confidence[::-1], right[::-1]))
    assert there.value == pytest.approx(back.value)
    assert 0 <= there.low <= there.high <= 1


def test_the_interval_is_as_wide_as_the_area_varies_from_sample_to_sample():
    random = np.random.default_rng(3)

    def sample():
        confidence = random.uniform(0.5, 1, 400)
        return aurc(*scored(confidence, random.random(400) < confidence))

    samples = [sample() for _ in range(30)]
    spread = np.std([m.value for m in samples])
    width = np.mean([m.high - m.low for m in samples]) / (2 * 1.96)
    assert 0.6 < width / spread < 1.6
    assert aurc(*scored([0.9, 0.6], [True, False])) == aurc(*scored([0.9, 0.6], [True, False]))  # a fixed seed


# --- the figure


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return surveyed(tmp_path_factory.mktemp("curves") / "ws")


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_curves_of_the_rounds_are_drawn_the_same_each_time(survey, tmp_path, ending, start):
    for name in ("a", "b"):
        done = cli("-w", survey.path, "metrics", "--figure", tmp_path / f"{name}.{ending}")
        assert done.code == 0 and f"plotted in {tmp_path / name}.{ending}" in done.out and "HP" in done.out
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    assert first.startswith(start) and first == second


def test_one_set_in_two_surveys_is_two_panels_side_by_side(tmp_path):
    curve = [
        {"test_set": test_set, "survey": survey, "round": number, "coverage": coverage, "value": 0.9, "low": 0.8,
         "high": 0.95, "n": 40}
        for test_set, survey in (("HP", "des"), ("HP", "sdss"), ("FO", "des"))
        for number in (1, 4) for coverage in (0.5, 1.0)
    ]  # fmt: skip
    draw_accuracy(pa.Table.from_pylist(curve[:4]), tmp_path / "one.png")
    draw_accuracy(pa.Table.from_pylist(curve), tmp_path / "three.png")
    one, three = (Image.open(tmp_path / f"{name}.png") for name in ("one", "three"))
    assert (three.width, three.height) == (2 * one.width, 2 * one.height)


def test_the_legend_names_each_round_once_though_no_set_has_them_all(tmp_path):
    curve = [
        {"test_set": test_set, "survey": "des", "round": number, "coverage": coverage, "value": 0.9, "low": 0.8,
         "high": 0.95, "n": 40}
        for test_set, numbers in (("HP", (1, 4)), ("FO", (2, 4))) for number in numbers for coverage in (0.5, 1.0)
    ]  # fmt: skip
    draw_accuracy(pa.Table.from_pylist(curve), tmp_path / "x.svg")
    # matplotlib draws letters as shapes, and says beside them what they spell
    assert re.findall(r"<!-- (round \d+) -->", (tmp_path / "x.svg").read_text()) == ["round 1", "round 2", "round 4"]


def test_each_line_says_how_many_it_is_of_and_an_interval_that_is_cut_off_is_told(tmp_path):
    curve = [
        {"test_set": "HP", "survey": survey, "round": number, "coverage": coverage, "value": 0.9, "low": low,
         "high": 0.95, "n": int(n * coverage)}
        for survey, low_there, n_last in (("des", 0.2, 171), ("sdss", 0.8, 66)) for number, n in ((1, 66), (3, n_last))
        for coverage, low in ((0.1, low_there), (1.0, 0.8))
    ]  # fmt: skip
    draw_accuracy(pa.Table.from_pylist(curve), tmp_path / "x.svg")
    said = re.findall(r"<!-- (.+?) -->", re.sub(r"\s+", " ", (tmp_path / "x.svg").read_text()))
    said = " ".join(said)
    assert "scored: 66 in round 1, 171 in round 3" in said and "HP, SDSS (66 scored)" in said
    assert said.count("which continues below the edge)") == 1


def test_a_figure_that_cannot_be_drawn_gives_an_error_and_no_file(survey, tmp_path):
    failed(cli("-w", survey.path, "metrics", "--figure", tmp_path / "x.gif"), "x.gif", "ends in .png, .pdf, .svg")
    failed(cli("-w", survey.path, "metrics", "--figure", tmp_path / "x.png", "--round", 9), "there is no round 9")
    empty = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    failed(
        cli("-w", empty.path, "metrics", "--figure", tmp_path / "x.png"),
        "no test set with true classes has been measured",
    )
    assert not list(tmp_path.glob("*.png"))


def test_a_workspace_with_raw_votes_is_measured_against_both_truths(tmp_path):
    workspace = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 5))
        for n, (truth, raw) in enumerate([("spiral", "elliptical"), ("spiral", "spiral"), ("elliptical", None)], 1):
            recording.con.execute("INSERT INTO test_sets VALUES ('FO', 'des', ?, ?, NULL, 1, 1, ?)", [n, truth, raw])
    close_round(workspace, {("des", n): (0.1, 0.9) for n in range(1, 5)})
    rows = ask(workspace, "SELECT truth, value, n FROM metrics WHERE metric = 'accuracy' AND coverage = 1 ORDER BY 1")
    assert rows == [("debiased", pytest.approx(2 / 3), 3), ("raw", 0.5, 2)]
    counts = ask(workspace, "SELECT truth, count(*), count(DISTINCT coverage) FROM metrics "
                 "WHERE metric = 'accuracy' AND variable IS NULL GROUP BY truth ORDER BY 1")  # fmt: skip
    assert counts == [("debiased", 20, 20), ("raw", 20, 20)]
    areas = ask(workspace, "SELECT truth, n FROM metrics WHERE metric = 'aurc' ORDER BY 1")
    assert areas == [("debiased", 3), ("raw", 2)]
