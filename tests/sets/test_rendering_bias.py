"""Correlated class and rendering give a warning at the plan and in `check`, and never an error."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.new_workspace import create_workspace
from support.workspaces import RECIPE, add_events, add_objects, cli, close_round, label_event, write_csv, write_images

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.ingest.images import ingest_images
from catbuilder.rounds.planning import make_plan
from catbuilder.sets.rendering_bias import MIN_OBJECTS, cramers_v, rendering_warnings

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def workspace(tmp_path):
    return create_workspace(tmp_path / "ws", stamp_size=32)


def add_rendering(workspace, rendering, first_id, elliptical, spiral, split="train"):
    """So many labelled objects with images of this rendering; gives what a round that trains on them records."""
    ids = range(first_id, first_id + elliptical + spiral)
    names = ["elliptical"] * elliptical + ["spiral"] * spiral
    with workspace.recording(f"ingest {rendering}") as recording:
        add_objects(recording, "sdss", ids, split=split)
        recording.con.execute("UPDATE stamps SET rendering = ? WHERE object_id >= ?", [rendering, first_id])
        add_events(recording, *(label_event("sdss", n, name) for n, name in zip(ids, names, strict=True)))
    return [("sdss", n, "training", name) for n, name in zip(ids, names, strict=True)]


def warnings(workspace, round_number=None):
    with workspace.reading() as con:
        return rendering_warnings(con, round_number)


def test_one_class_in_one_rendering_gives_a_warning_with_counts_and_advice(workspace):
    add_rendering(workspace, "sdss/gz2", 1, 81, 70)
    add_rendering(workspace, "sdss/gz1_spirals", 1000, 0, 150)
    assert list(warnings(workspace)) == ["sdss/gz1_spirals"]
    sentence = warnings(workspace)["sdss/gz1_spirals"]
    for words in (
        "'sdss/gz1_spirals' has 0 elliptical and 150 spiral", "the others 81 elliptical and 70 spiral",
        "add elliptical in this rendering", "--split none", "Cramér's V 0.60",
    ):  # fmt: skip
        assert words in sentence


@pytest.mark.parametrize(
    "counts",
    [
        [(100, 80)],  # one rendering
        [(0, 100)],  # one rendering of one class: there is nothing to compare it with
        [(100, 80), (70, 90), (60, 60)],  # mixed in each
        [(0, 40), (100, 100)],  # one class, but a handful
        [(2, 98), (12, 90)],  # one-sided everywhere
    ],
)
def test_mixed_or_incomparable_renderings_give_no_warning(workspace, counts):
    for i, (elliptical, spiral) in enumerate(counts):
        add_rendering(workspace, f"r{i}", 1 + 1000 * i, elliptical, spiral)
    assert warnings(workspace) == {}


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ([(0, 60), (30, 0)], ["r0"]),  # the other class in a handful rendered otherwise
        ([(60, 0), (2000, 2000)], ["r0"]),  # one class, few of all: V is low, and the pool will be mistaken
        ([(100, 0), (0, 100)], ["r0", "r1"]),  # each class its own rendering
        ([(85, 15), (40, 60), (45, 55)], ["r0"]),  # no rendering of one class, but the class can be guessed
        ([(1, 99), (60, 60)], ["r0"]),  # a wrong label or two do not hide it
    ],
)
def test_correlated_renderings_give_a_warning(workspace, counts, named):
    for i, (elliptical, spiral) in enumerate(counts):
        add_rendering(workspace, f"r{i}", 1 + 10_000 * i, elliptical, spiral)
    assert list(warnings(workspace)) == named


@pytest.mark.parametrize("split", ["none", "validation", "calibration"])
def test_objects_not_trained_on_do_not_count(workspace, split):
    add_rendering(workspace, "mixed", 1, 60, 60)
    add_rendering(workspace, "spirals", 1000, 0, 60, split=split)
    assert warnings(workspace) == {}


def test_check_prints_warnings_and_keeps_its_exit_code(workspace):
    trained = add_rendering(workspace, "mixed", 1, 60, 60)
    trained += add_rendering(workspace, "spirals", 1000, 0, 60)
    close_round(workspace, {("sdss", 1): (0.9, 0.1)}, trained_on=trained)
    add_rendering(workspace, "ellipticals", 2000, 60, 0)
    assert list(warnings(workspace, 1)) == ["spirals"]

    done = cli("-w", workspace.path, "check", "--format", "json")
    results = {row["check"]: row["result"] for row in json.loads(done.out)}
    assert results["renderings"] == "warning"
    told = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert len(told) == 2
    assert told[0].startswith(
        "warning: in the training set of round 1 and of the next, class and rendering go together"
    )
    assert "'spirals' has" in told[0]
    assert told[1].startswith("warning: in the training set of the next round,") and "'ellipticals' has" in told[1]
    # the round's model is not a file here; nothing else is wrong
    assert {check for check, result in results.items() if result not in ("ok", "warning")} <= {"models", "stamps"}


@pytest.fixture(scope="module")
def one_sided(tmp_path_factory):
    """A workspace with real images: 70 ellipticals of one rendering, 70 spirals of another. Read, or plan in it."""
    workspace = create_workspace(tmp_path_factory.mktemp("one-sided") / "ws", stamp_size=32)
    for i, name in enumerate(workspace.config.classes):
        files = [f"{name}{n}.png" for n in range(70)]
        folder = write_images(workspace.path.parent / name, files, seed=1000 * i)
        rows = [(1000 * i + n, file, name) for n, file in enumerate(files, start=1)]
        table = write_csv(folder / "t.csv", ["object_id", "file", "label"], *rows)
        ingest_images(workspace, folder, table, survey="sdss")
    return workspace


def test_a_warning_alone_is_no_fault(one_sided):
    done = cli("-w", one_sided.path, "check")
    assert done.code == 0 and done.err.count("warning: in the training set of the next round, ") == 2
    assert next(line for line in done.out.splitlines() if "renderings" in line).split()[1] == "warning"


def test_the_plan_of_a_round_says_it_once_and_goes_on(one_sided, capsys):
    plan = make_plan(one_sided, RECIPE, 1, 0, Reporter())
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert plan.round == 1 and len(told) == 2
    assert all("class and rendering go together" in line for line in told)


def test_leaving_a_rendering_out_as_advised_ends_the_warning(one_sided, tmp_path):
    workspace = Workspace.open(shutil.copytree(one_sided.path, tmp_path / "ws"))
    folder = one_sided.path.parent / "spiral"
    table = ("--table", folder / "t.csv", "--survey", "sdss", "--split", "none")
    assert cli("-w", workspace.path, "ingest", "images", folder, *table).code == 0
    assert warnings(workspace) == {}


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here")
def test_the_spirals_that_came_alone_are_found_among_real_images(workspace, tmp_path):
    for name in ("sdss_gz2", "sdss_gz1_spirals"):
        with open(DATA / name / "labels.csv", encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        table = write_csv(tmp_path / f"{name}.csv", header, *rows[:: len(rows) // 150])
        ingest_images(workspace, DATA / name / "images", table, survey="sdss", rendering=name)
    assert list(warnings(workspace)) == ["sdss_gz1_spirals"]


COUNTS = st.dictionaries(
    st.text(min_size=1, max_size=3),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 3000), min_size=1),
    max_size=6,
)


@given(counts=COUNTS)
def test_the_association_is_a_number_between_0_and_1_whatever_the_counts(counts):
    assert 0.0 <= cramers_v({name: Counter(own) for name, own in counts.items()}) <= 1.0 + 1e-9


def test_the_association_is_0_for_equal_shares_and_1_where_the_rendering_tells_the_class():
    n = MIN_OBJECTS
    assert cramers_v({"a": Counter(x=n, y=n), "b": Counter(x=2 * n, y=2 * n)}) == pytest.approx(0.0)
    assert cramers_v({"a": Counter(x=n), "b": Counter(y=n)}) == pytest.approx(1.0)
