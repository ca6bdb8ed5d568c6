"""The firewall keeps test galaxies out of training and promotion: by id, position, cross-match and picture."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.contents import rows
from support.new_workspace import create_workspace
from support.small_survey import (
    CLASSES,
    HP_DES,
    HP_SDSS,
    POOL,
    TRAIN,
    Source,
    bring_in,
    draw,
    finish_by_hand,
    write_csv,
    write_image,
    write_recipe,
)
from support.workspaces import add_events, add_objects, ask, label_event

from catbuilder.catalogue.round_records import score_manifest_file, training_manifest_file
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe, load_recipe
from catbuilder.core.sky import healpix_cell, nearest_within
from catbuilder.core.stamps import write_shard
from catbuilder.decisions.promote import decide
from catbuilder.ingest.images import ingest_images
from catbuilder.inspection.why import why
from catbuilder.rounds.planning import make_plan
from catbuilder.sets.compared_objects import ComparedObjects
from catbuilder.sets.firewall import FirewallReport, find_exclusions, update_firewall
from catbuilder.sets.testsets import add_test_set
from catbuilder.sets.training_manifest import choose_training

ARCSEC = 1 / 3600
QUIET = Reporter(quiet=True)

# Training images that are test galaxies in disguise, by the rule that must find them.
PLANTED = {
    "position": TRAIN + 500,
    "position across RA 0": TRAIN + 501,
    "counterpart": TRAIN + 502,
    "content": TRAIN + 503,
    "content, once more": TRAIN + 504,
}
CLEAN = (TRAIN + 600, TRAIN + 601)  # one far from every test galaxy, one without a position
PLANTED_POOL = {"position": POOL + 500, "counterpart": POOL + 501, "content": POOL + 502}
CLEAN_POOL = POOL + 600


def training_keys(workspace: Workspace, round_number: int = 1) -> set[tuple[str, int]]:
    """Objects of the training manifest, which must be those of the table `training`."""
    manifest = pq.read_table(training_manifest_file(workspace, round_number))
    in_file = set(zip(manifest["survey"].to_pylist(), manifest["object_id"].to_pylist(), strict=True))
    in_table = set(rows(workspace, "SELECT survey, object_id FROM training WHERE round = ?", [round_number]))
    assert in_file == in_table and len(in_file) == manifest.num_rows
    return in_file


def spoilt_copy(path: Path, quality: int, factor: float, turns: int) -> None:
    """The picture rescaled, turned, mirrored and saved as JPEG in its place."""
    picture = Image.open(path)
    side = round(picture.width * factor)
    picture = picture.resize((side, side), Image.Resampling.BICUBIC).rotate(90 * turns)
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path.with_suffix(".jpg"), quality=quality)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Promotes everything that may be promoted."""
    path = tmp_path_factory.mktemp("firewall") / "all.toml"
    return load_recipe(write_recipe(path, policy="threshold", threshold=0.5))


@pytest.fixture(scope="module")
def planted(
    small_survey: Path, copy_of: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory, recipe: Recipe
) -> Workspace:
    """The small survey with test galaxies among its training images and its pool, one round by hand."""
    folder = tmp_path_factory.mktemp("planted")
    workspace = Workspace.open(copy_of(small_survey))
    # a second test set, of one galaxy just east of RA 0
    add_test_set(workspace, "FO", write_csv(folder / "fo.csv", [{"object_id": 77, "label": "spiral"}]), survey="sdss")
    bring_in(workspace, folder / "fo", "sdss", [(Source(77, 1 * ARCSEC, -5.0), draw("spiral", 9000))])
    train = [
        (Source(PLANTED["position"], 100.0, 12 + 4.9 * ARCSEC, "elliptical"), draw("elliptical", 9001)),
        (Source(PLANTED["position across RA 0"], 360 - 2 * ARCSEC, -5.0, "spiral"), draw("spiral", 9002)),
        (Source(PLANTED["counterpart"], 101.0, 12 + 30 * ARCSEC, "spiral"), draw("spiral", 9003)),
        (Source(CLEAN[0], 102.0, 12 + 8 * ARCSEC, "elliptical"), draw("elliptical", 9004)),
        (Source(CLEAN[1], label="spiral"), draw("spiral", 9005)),
    ]
    bring_in(workspace, folder / "train", "sdss", train, split="train")
    pool = [
        (Source(PLANTED_POOL["position"], 103.0, 12 - 3 * ARCSEC), draw("spiral", 9006)),
        (Source(PLANTED_POOL["counterpart"], 104.0, 12 + 20 * ARCSEC), draw("elliptical", 9007)),
        (Source(PLANTED_POOL["content"]), draw("elliptical", 2006)),
        (Source(CLEAN_POOL), draw("elliptical", 9008)),
    ]
    bring_in(workspace, folder / "pool", "des", pool, split="pool")
    copies = folder / "copies"
    table = []
    for object_id, seed, quality, factor, turns in (
        (PLANTED["content"], 2003, 75, 0.6, 1),
        (PLANTED["content, once more"], 2009, 90, 1.5, 3),
    ):
        write_image(copies / f"{object_id}.png", draw(CLASSES[seed % 2 == 1], seed))
        spoilt_copy(copies / f"{object_id}.png", quality, factor, turns)
        table.append({"object_id": object_id, "file": f"{object_id}.jpg", "label": "spiral"})
    ingest_images(workspace, copies, write_csv(copies / "table.csv", table), survey="sdss", split="train")
    with workspace.recording("matches") as recording:
        for planted_id, survey, other, member in (
            (PLANTED["counterpart"], "sdss", "des", HP_DES + 1),
            (PLANTED_POOL["counterpart"], "des", "sdss", HP_SDSS + 4),
        ):
            recording.con.execute(
                "INSERT INTO matches VALUES (?, ?, ?, ?, 0.5, ?, ?)",
                [survey, planted_id, other, member, recording.round, recording.run],
            )
    plan = make_plan(workspace, recipe, 1, 0, QUIET)
    everything = rows(workspace, "SELECT survey, object_id FROM catalog WHERE quality = 'ok'")
    finish_by_hand(workspace, plan, dict.fromkeys(everything, 0.999))
    make_plan(workspace, recipe, 1, 0, QUIET)  # of a second round, which trains on what the first has promoted
    return workspace


@pytest.mark.parametrize("rule", PLANTED)
def test_a_planted_test_galaxy_is_in_no_manifest(planted: Workspace, rule: str) -> None:
    for round_number in (1, 2):
        assert ("sdss", PLANTED[rule]) not in training_keys(planted, round_number)


@pytest.mark.parametrize("rule", PLANTED)
def test_why_names_the_rule_and_the_test_galaxy(planted: Workspace, rule: str) -> None:
    story = why(planted, str(PLANTED[rule]))
    (told,) = [detail for _, what, detail in story.events if what == "firewall"]
    name = rule.split(",")[0].split()[0]
    # the same galaxy stands in both surveys: either may be named
    number = {"position": 0, "counterpart": 1, "content": 3, "content, once more": 9}.get(rule)
    members = ("sdss 77 ",) if number is None else (f"sdss {HP_SDSS + number} ", f"des {HP_DES + number} ")
    assert any(member in told for member in members)
    assert f"by {name}" in told and "never trained on" in told
    assert story.now["firewall"] == name


@pytest.mark.parametrize("rule", PLANTED_POOL)
def test_a_test_galaxy_in_the_pool_is_not_promoted(planted: Workspace, rule: str) -> None:
    assert rows(planted, "SELECT * FROM labels WHERE survey = 'des' AND object_id = ?", [PLANTED_POOL[rule]]) == []
    assert ("des", PLANTED_POOL[rule]) not in training_keys(planted, 2)


def test_clean_objects_stay_and_are_promoted(planted: Workspace) -> None:
    roles = dict(rows(planted, "SELECT object_id, role FROM training WHERE round = 1"))
    assert set(CLEAN) <= set(roles)
    assert len(roles) == 100 + len(CLEAN), "nobody else was kept out"
    assert ("des", CLEAN_POOL) in training_keys(planted, 2)


def test_no_member_of_a_test_set_is_trained_on_or_promoted(planted: Workspace) -> None:
    members = set(rows(planted, "SELECT survey, object_id FROM test_sets"))
    labelled = set(rows(planted, "SELECT survey, object_id FROM labels"))
    assert len(members) == 49
    assert not members & (training_keys(planted, 1) | training_keys(planted, 2) | labelled)


def test_test_galaxies_are_scored_all_the_same(planted: Workspace) -> None:
    scored = pq.read_table(score_manifest_file(planted, 1))
    assert {*range(HP_SDSS, HP_SDSS + 24), 77} <= set(scored["object_id"].to_pylist())


def test_a_large_survey_is_searched_like_a_small_one(planted: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large one only what positions and pictures can exclude is read, some at a time."""

    def found() -> list[tuple[object, ...]]:
        with planted.reading() as con:
            return sorted(map(tuple, (row.values() for row in find_exclusions(planted, con, 5.0).to_pylist())), key=str)

    small = found()
    monkeypatch.setattr("catbuilder.sets.compared_objects._FEW", 0)
    monkeypatch.setattr("catbuilder.sets.compared_objects._AT_ONCE", 3)
    assert found() == small
    assert {row[2] for row in small} == {"position", "counterpart", "content"}


def test_objects_recorded_between_the_firewall_and_the_plan_are_checked(
    workspace: Workspace, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test galaxy is ingested while the firewall compares: the plan must know it."""
    from catbuilder.sets import firewall

    late, first = TRAIN + 700, TRAIN + 701
    bring_in(
        workspace, tmp_path / "near", "sdss", [(Source(first, 100.0, 12 + ARCSEC, "spiral"), draw("spiral", 9100))]
    )
    look = firewall.find_exclusions

    def look_while_somebody_ingests(*arguments: object) -> object:
        found = look(*arguments)  # type: ignore[arg-type]
        monkeypatch.undo()
        return found

    monkeypatch.setattr(firewall, "find_exclusions", look_while_somebody_ingests)
    recording = Workspace.recording

    def recording_after_somebody(self: Workspace, what: str = "", wait_s: float | None = 60.0) -> object:
        if what == "firewall":
            monkeypatch.setattr(Workspace, "recording", recording)
            near = Source(late, 105.0, 12 + ARCSEC, "spiral")
            bring_in(workspace, tmp_path / "late", "sdss", [(near, draw("spiral", 9101))])
        return recording(self, what, wait_s)

    undo = pytest.MonkeyPatch()
    undo.setattr(Workspace, "recording", recording_after_somebody)
    try:
        make_plan(workspace, recipe, 1, 0, QUIET)
    finally:
        undo.undo()
    assert rows(workspace, "SELECT object_id FROM objects WHERE object_id = ?", [late]) == [(late,)]
    assert not {("sdss", late), ("sdss", first)} & training_keys(workspace)


def validation_split(workspace: Workspace, recipe: Recipe) -> dict[int, str]:
    make_plan(workspace, recipe, 1, 0, QUIET)
    return dict(rows(workspace, "SELECT object_id, role FROM training"))


def test_neighbours_on_the_sky_are_on_one_side_of_the_validation_split(tmp_path: Path, recipe: Recipe) -> None:
    """30 places with three galaxies each, a minute of arc apart."""
    workspace = create_workspace(tmp_path / "ws", CLASSES, 64)
    sources = [
        (Source(1 + 3 * place + i, 10.0 + 3 * place, 7 + i / 60, CLASSES[i % 2]), draw(CLASSES[i % 2], 100 * place + i))
        for place in range(30)
        for i in range(3)
    ]
    bring_in(workspace, tmp_path / "images", "sdss", sources)
    roles = validation_split(workspace, recipe)
    assert {"training", "validation"} == set(roles.values())
    cells = dict(rows(workspace, "SELECT object_id, healpix >> 42 FROM objects"))
    for _, group in itertools.groupby(sorted(roles, key=lambda i: cells[i]), key=lambda i: cells[i]):
        assert len({roles[i] for i in group}) == 1


def test_copies_without_a_position_are_never_on_both_sides(tmp_path: Path, recipe: Recipe) -> None:
    """40 pictures, each three times: once with a position, twice without, turned and mirrored."""
    workspace = create_workspace(tmp_path / "ws", CLASSES, 64)
    sources = []
    for i in range(40):
        kind, picture = CLASSES[i % 2], draw(CLASSES[i % 2], 500 + i)
        # the ids are drawn so that now the placed one comes first, now a copy
        first, second, third = np.random.default_rng(i).permutation(3) * 100 + i + 1
        sources += [
            (Source(int(first), 10.0 + 3 * i, -20.0, kind), picture),
            (Source(int(second), label=kind), np.rot90(picture).copy()),
            (Source(int(third), label=kind), picture[:, ::-1].copy()),
        ]
    bring_in(workspace, tmp_path / "images", "sdss", sources)
    roles = validation_split(workspace, recipe)
    sides = [{roles.get(i + 1 + copy) for copy in (0, 100, 200)} for i in range(40)]
    assert all(len(side) == 1 for side in sides)
    assert {"training", "validation"} == set().union(*sides)


def test_a_copy_is_on_the_same_side_of_the_split_as_its_neighbourhood(tmp_path: Path, recipe: Recipe) -> None:
    """A galaxy imaged twice, and a copy of the first image without a position: none is on the other side."""
    workspace = create_workspace(tmp_path / "ws", CLASSES, 64)
    sources = []
    for i in range(40):
        kind, picture = CLASSES[i % 2], draw(CLASSES[i % 2], 700 + i)
        sources += [
            (Source(1 + i, label=kind), picture[::-1].copy()),
            (Source(101 + i, 10.0 + 3 * i, -20.0, kind), picture),
            (Source(201 + i, 10.0 + 3 * i, -20.0 + ARCSEC, kind), draw(kind, 800 + i)),
        ]
    bring_in(workspace, tmp_path / "images", "sdss", sources)
    roles = validation_split(workspace, recipe)
    for i in range(40):
        assert len({roles.get(copy + i) for copy in (1, 101, 201)} - {None}) == 1, f"galaxy {i} is on both sides"


def test_a_manifest_of_many_labels_is_that_of_few_read_some_at_a_time(
    planted: Workspace, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    with planted.reading() as con:
        choose_training(planted, con, 2, recipe)
        at_once = con.execute("SELECT * FROM temp.training_rows").fetchall()
        for name, rows_at_once in (("training_manifest", 10), ("validation_split", 512)):
            monkeypatch.setattr(f"catbuilder.sets.{name}._AT_ONCE", rows_at_once)
        choose_training(planted, con, 2, recipe)
        assert con.execute("SELECT * FROM temp.training_rows").fetchall() == at_once
    assert len(at_once) > 50


@dataclass(frozen=True)
class Thing:
    """One object of a random catalogue. Objects of one spot are near each other, those of one picture are copies."""

    survey: str
    spot: int | None
    north: float  # arcsec
    picture: int
    split: str
    label: str | None
    domain: str | None
    quality: str
    is_test: bool
    match: int | None  # the place of another object in the list


SPOTS = ((0.0, 0.0), (359.9998, 0.0), (45.0, 60.0), (200.0, -89.0))  # the first two are 0.7 arcsec apart
THINGS = st.lists(
    st.builds(
        Thing,
        survey=st.sampled_from(["sdss", "des"]),
        spot=st.sampled_from([0, 1, 2, 3, None]),
        north=st.sampled_from([0.0, 3.0, 4.8, 30.0]),
        picture=st.integers(0, 5),
        split=st.sampled_from(["train", "validation", "pool", "pool", "calibration"]),
        label=st.sampled_from([None, None, *CLASSES]),
        domain=st.sampled_from([None, None, None, "star", "unresolved"]),
        quality=st.sampled_from(["ok", "ok", "ok", "blank"]),
        is_test=st.booleans(),
        match=st.sampled_from([None, None, 0, 1, 2]),
    ),
    min_size=8,
    max_size=24,
)
# Enough to train on, wherever the rest of a catalogue goes.
ANCHORS = [Thing("sdss", None, 0.0, 6 + i, "train", CLASSES[i % 2], None, "ok", False, None) for i in range(8)]
PICTURES = [draw(CLASSES[i % 2], 6000 + i)[8:72, 8:72] for i in range(6 + len(ANCHORS))]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_workspace(tmp_path_factory.mktemp("empty") / "ws", CLASSES, 64).path


def fill(workspace: Workspace, things: list[Thing]) -> None:
    """Record a catalogue; the object number is the place in the list."""
    with workspace.recording("things") as recording:
        for survey in ("sdss", "des"):
            mine = [(n, t) for n, t in enumerate(things) if t.survey == survey]
            if not mine:
                continue
            shard = write_shard(workspace.path, survey, np.stack([PICTURES[t.picture] for _, t in mine]))
            places = [position(t) for _, t in mine]
            add_objects(
                recording, survey, [n for n, _ in mine],
                ra=[ra for ra, _ in places], dec=[dec for _, dec in places],
                healpix=[None if ra is None else n << 42 for (n, _), (ra, _) in zip(mine, places, strict=True)],
                split=[t.split for _, t in mine], domain=[t.domain for _, t in mine],
                quality=[t.quality for _, t in mine], shard=[shard] * len(mine),
            )  # fmt: skip
        add_events(recording, *(label_event(t.survey, n, t.label) for n, t in enumerate(things) if t.label))
        stamp = [recording.round, recording.run]
        for n, t in enumerate(things):
            if t.is_test:
                recording.con.execute(
                    "INSERT INTO test_sets VALUES ('HP', ?, ?, NULL, NULL, ?, ?, NULL)", [t.survey, n, *stamp]
                )
            if t.match is not None and things[t.match].survey != t.survey:
                pair = [t.survey, n, things[t.match].survey, t.match]
                recording.con.execute("INSERT INTO matches VALUES (?, ?, ?, ?, 0.4, ?, ?)", [*pair, *stamp])


def position(thing: Thing) -> tuple[float | None, float | None]:
    if thing.spot is None:
        return None, None
    ra, dec = SPOTS[thing.spot]
    return ra, dec + thing.north * ARCSEC


def may_be(a: tuple[int, Thing], b: tuple[int, Thing]) -> bool:
    """Whether `a` may be the galaxy `b`, computed independently of the firewall."""
    (number, mine), (other, theirs) = a, b
    if mine.survey != theirs.survey and (mine.match == other or theirs.match == number):
        return True
    if mine.spot is not None and theirs.spot is not None:
        return near(mine, theirs)
    return same_picture_without_position(mine, theirs)


def near(a: Thing, b: Thing) -> bool:
    here, there = (SkyCoord(*position(t), unit="deg") for t in (a, b))
    return bool(here.separation(there) <= 5 * u.arcsec)


def all_that_may_be(others: list[tuple[int, Thing]], tests: list[tuple[int, Thing]]) -> list[tuple[int, Thing]]:
    """Objects that may be test galaxies: themselves, as copies of such objects, or near one found by its picture."""
    out = [thing for thing in others if any(may_be(thing, test) for test in tests)]
    by_picture = [x for x in out if any(same_picture_without_position(x[1], test) for _, test in tests)]
    while True:
        rest = [thing for thing in others if thing not in out]
        alike = [x for x in rest if any(same_picture_without_position(x[1], e) for _, e in out)]
        beside = [x for x in rest if any(None not in (x[1].spot, p.spot) and near(x[1], p) for _, p in by_picture)]
        if not alike and not beside:
            return out
        by_picture = by_picture + alike
        out = out + [x for x in rest if x in alike or x in beside]


def same_picture_without_position(a: Thing, b: Thing) -> bool:
    """Whether two things are copies, which only matters where a position is missing."""
    return None in (a.spot, b.spot) and a.picture == b.picture and a.quality == b.quality == "ok"


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(things=THINGS)
def test_whatever_the_catalogue_only_clean_objects_are_trained_on_or_promoted(
    things: list[Thing], empty: Path, copy_of: Callable[[Path], Path], recipe: Recipe
) -> None:
    things = [*things, *ANCHORS]
    workspace = Workspace.open(copy_of(empty))
    fill(workspace, things)
    tests = [(n, t) for n, t in enumerate(things) if t.is_test]
    others = [(n, t) for n, t in enumerate(things) if not t.is_test]
    out = all_that_may_be(others, tests)
    calibration = [(n, t) for n, t in others if t.split == "calibration"]
    out = out + all_that_may_be([x for x in others if x not in calibration and x not in out], calibration)
    clean = {
        (t.survey, n)
        for n, t in others
        if t.quality == "ok" and t.domain is None and t.split != "calibration"
        and (n, t) not in out
    }  # fmt: skip
    no_validation = recipe.model_copy(update={"validation": recipe.validation.model_copy(update={"fraction": 0.0})})
    plan = make_plan(workspace, no_validation, 1, 0, QUIET)
    assert training_keys(workspace, 1) <= clean
    scored = {(t.survey, n): 0.9 for n, t in enumerate(things) if t.quality == "ok"}
    finish_by_hand(workspace, plan, scored)
    promoted = set(rows(workspace, "SELECT survey, object_id FROM labels WHERE source = 'promoted'"))
    assert promoted == {(t.survey, n) for n, t in enumerate(things) if t.split == "pool" and not t.label} & clean
    make_plan(workspace, no_validation, 1, 0, QUIET)
    assert training_keys(workspace, 2) <= clean


def test_a_promoted_object_that_turns_out_to_be_a_test_galaxy_loses_its_label(
    workspace: Workspace, recipe: Recipe, tmp_path: Path
) -> None:
    keys = rows(workspace, "SELECT survey, object_id FROM catalog WHERE quality = 'ok'")
    finish_by_hand(workspace, make_plan(workspace, recipe, 1, 0, QUIET), dict.fromkeys(keys, 0.9))
    (standing,) = rows(workspace, "SELECT source FROM catalog WHERE object_id = ?", [POOL + 3])
    assert standing == ("promoted",)
    late = write_csv(tmp_path / "late.csv", [{"object_id": POOL + 3, "label": "spiral"}])
    add_test_set(workspace, "LATE", late, survey="des")
    plan = make_plan(workspace, recipe, 1, 0, QUIET)
    assert ("des", POOL + 3) not in training_keys(workspace, 2)
    finish_by_hand(workspace, plan, dict.fromkeys(keys, 0.9))
    ((retracted, reason),) = rows(workspace, "SELECT object_id, reason FROM labels WHERE kind = 'retraction'")
    assert retracted == POOL + 3 and "member of test set LATE" in reason
    with workspace.reading() as con:
        assert decide(con, workspace, plan).promoted == {}


def test_nothing_that_may_be_a_calibration_galaxy_is_trained_on_or_promoted(
    workspace: Workspace, recipe: Recipe, tmp_path: Path
) -> None:
    calibration = [
        (Source(9900, 200.0, 30.0, "spiral"), draw("spiral", 9100)),
        (Source(9901, 201.0, 30.0, "spiral"), draw("spiral", 9101)),
        (Source(9902, 202.0, 30.0, "spiral"), draw("spiral", 9102)),
    ]
    bring_in(workspace, tmp_path / "calibration", "des", calibration, split="calibration")
    train = [
        (Source(9910, 200.0, 30 + 3 * ARCSEC, "spiral"), draw("spiral", 9103)),  # near one
        (Source(9911, 210.0, 30.0, "spiral"), draw("spiral", 9104)),  # matched with one
        (Source(9912, label="spiral"), draw("spiral", 9102)),  # the picture of one
        (Source(9913, 200.0, 30 + 9 * ARCSEC, "spiral"), draw("spiral", 9105)),
    ]
    bring_in(workspace, tmp_path / "train", "sdss", train, split="train")
    with workspace.recording("matches") as recording:
        recording.con.execute(
            "INSERT INTO matches VALUES ('sdss', 9911, 'des', 9901, 0.5, ?, ?)", [recording.round, recording.run]
        )
    plan = make_plan(workspace, recipe, 1, 0, QUIET)
    trained = {object_id for _, object_id in training_keys(workspace)}
    assert trained & {9910, 9911, 9912, 9913} <= {9913} and not trained & {9900, 9901, 9902}
    found = rows(workspace, "SELECT object_id, rule, test_set FROM exclusions WHERE object_id >= 9900 ORDER BY ALL")
    assert found == [(9910, "position", "calibration"), (9911, "counterpart", "calibration"),
                     (9912, "content", "calibration")]  # fmt: skip
    keys = rows(workspace, "SELECT survey, object_id FROM catalog WHERE quality = 'ok'")
    finish_by_hand(workspace, plan, dict.fromkeys(keys, 0.999))
    promoted = rows(workspace, "SELECT object_id FROM labels WHERE source = 'promoted'")
    assert promoted and not {(9900,), (9901,), (9902,)} & set(promoted)


def test_the_report_names_exclusions_by_rule_and_warns_of_objects_that_cannot_be_checked() -> None:
    assert FirewallReport({}, unguarded_tests=0, by_picture_alone=0, run=1).sentences() == []
    excluded, unguarded, alone = FirewallReport({"position": 2, "content": 1}, 3, 4, run=1).sentences()
    assert excluded == "kept out as possible test or calibration objects: 1 by content, 2 by position"
    assert unguarded.startswith("warning: 3 test objects have neither position nor image")
    assert alone.startswith("warning: 4 objects have no position")


def add_galaxies(workspace: Workspace, *galaxies: tuple[str, int, float, float | None, str]) -> None:
    """Record galaxies on one meridian: survey, id, arcsec north of declination 12, radius and split."""
    with workspace.recording("galaxies") as recording:
        for survey, object_id, north, radius, split in galaxies:
            dec = 12 + north * ARCSEC
            add_objects(
                recording, survey, [object_id], ra=80.0, dec=dec, healpix=int(healpix_cell(80.0, dec)),
                radius_arcsec=radius, split=split,
            )  # fmt: skip


def add_test_galaxies(workspace: Workspace, *ids: int) -> None:
    with workspace.recording("HP") as recording:
        for object_id in ids:
            recording.con.execute(
                "INSERT INTO test_sets VALUES ('HP', 'sdss', ?, NULL, NULL, ?, ?, NULL)",
                [object_id, recording.round, recording.run],
            )


def found_by_position(workspace: Workspace, least: float = 5.0) -> dict[int, tuple[int, float]]:
    """The galaxies that the firewall excludes by position: their test galaxy, and the radius."""
    update_firewall(workspace, least)
    text = "SELECT object_id, test_object_id, round(radius_arcsec, 3) FROM exclusions WHERE rule = 'position'"
    return {object_id: (test, radius) for object_id, test, radius in ask(workspace, text)}


@pytest.fixture
def one_meridian(empty: Path, copy_of: Callable[[Path], Path]) -> Workspace:
    """A workspace without objects; 1 and 2 of sdss will be test galaxies."""
    workspace = Workspace.open(copy_of(empty))
    add_test_galaxies(workspace, 1, 2)
    return workspace


def test_the_radius_is_two_radii_of_the_larger_of_the_two_galaxies(one_meridian: Workspace) -> None:
    add_galaxies(
        one_meridian,
        ("sdss", 1, 0.0, 10.0, "pool"),  # the test galaxies
        ("sdss", 2, 1000.0, 3.0, "pool"),
        ("des", 11, 19.9, None, "pool"),  # inside the first
        ("des", 12, -20.1, 4.0, "pool"),
        ("des", 13, 1029.0, 15.0, "train"),  # which reaches the second
        ("des", 14, 1005.9, 1.0, "train"),
        ("des", 15, 1006.1, 1.0, "train"),
    )
    assert found_by_position(one_meridian) == {11: (1, 20.0), 13: (2, 30.0), 14: (2, 6.0)}


def test_a_size_that_is_unknown_or_absurd_gives_the_smallest_or_the_largest_radius(one_meridian: Workspace) -> None:
    add_galaxies(
        one_meridian,
        ("sdss", 1, 0.0, None, "pool"),
        ("sdss", 2, 5000.0, float("nan"), "pool"),
        ("des", 11, 4.9, -8.0, "pool"),
        ("des", 12, -5.1, float("nan"), "pool"),
        ("des", 13, 5004.9, 0.0, "pool"),
        ("des", 14, 5119.0, 9e4, "pool"),
        ("des", 15, 5121.0, 9e4, "pool"),
    )
    assert found_by_position(one_meridian) == {11: (1, 5.0), 13: (2, 5.0), 14: (2, 120.0)}


def test_the_nearest_test_galaxy_that_reaches_the_object_is_named(one_meridian: Workspace) -> None:
    """The nearest is too small to reach it; of two that do, the nearer one is named."""
    add_test_galaxies(one_meridian, 3)
    add_galaxies(
        one_meridian,
        ("sdss", 1, 0.0, 1.0, "pool"),
        ("sdss", 2, 50.0, 40.0, "pool"),
        ("sdss", 3, -60.0, 50.0, "pool"),
        ("des", 11, 8.0, 1.0, "pool"),
    )
    assert found_by_position(one_meridian) == {11: (2, 80.0)}


def test_far_objects_of_a_large_survey_are_not_read(one_meridian: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {1: 0.0, 2: 1000.0, 3: 4.0, 4: 10.0, 5: 900.0, 6: 100_000.0}
    large = {5: 60.0}  # reaches its test galaxy by its own size
    add_galaxies(one_meridian, *(("sdss", n, north, large.get(n), "pool") for n, north in places.items()))
    monkeypatch.setattr("catbuilder.sets.compared_objects._FEW", 0)
    with one_meridian.reading() as con:
        compared = ComparedObjects(con, 5.0)
        read = [some["object_id"].to_pylist() for some in compared.possible_copies_of_members()]
    assert read == [[1, 2, 3, 5]]
    assert found_by_position(one_meridian) == {3: (1, 5.0), 5: (2, 120.0)}


def test_the_recipe_s_radius_is_the_least(one_meridian: Workspace) -> None:
    add_galaxies(one_meridian, ("sdss", 1, 0.0, 6.0, "pool"), ("des", 11, 29.0, 2.0, "pool"))
    assert found_by_position(one_meridian) == {}
    assert found_by_position(one_meridian, least=30.0) == {11: (1, 30.0)}


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6), st.sampled_from([-89.97, 0.0, 45.0]),
    st.sampled_from([10.0, 100.0]),
)  # fmt: skip
def test_the_nearest_within_is_that_of_a_search_of_all_pairs(
    n: int, m: int, seed: int, dec: float, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    ra, dec_a, other_ra, other_dec = (rng.uniform(-spread, spread, k) * ARCSEC for k in (n, n, m, m))
    ra, other_ra, dec_a, other_dec = ra % 360, other_ra % 360, dec + dec_a, dec + other_dec
    radius, other_radius = rng.choice([5.0, 20.0, 60.0], n), rng.choice([5.0, 9.0, 80.0], m)
    index, separation = nearest_within(ra, dec_a, radius, other_ra, other_dec, other_radius)
    apart = SkyCoord(ra, dec_a, unit="deg")[:, None].separation(SkyCoord(other_ra, other_dec, unit="deg")[None]).arcsec
    apart = np.where(apart <= np.maximum(radius[:, None], other_radius), apart, np.inf)
    assert np.allclose(separation, apart.min(axis=1), rtol=1e-6)
    assert ((index >= 0) == np.isfinite(separation)).all()
    assert np.allclose(apart[np.arange(n), index][index >= 0], separation[index >= 0], rtol=1e-6)
