"""Aliases: an image ingested by position is linked to the catalogued object it shows, which takes what it lacks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from support.new_workspace import create_workspace
from support.platform_exports import classification, task, write_classifications
from support.workspaces import SIZE, add_events, ask, cli, label_event, write_csv, write_images

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError, WorkspaceBusy
from catbuilder.core.resources import query
from catbuilder.core.sky import healpix_cell
from catbuilder.ingest.images import ingest_images
from catbuilder.inspection.why import why
from catbuilder.sets.aliases import AliasReport, find_aliases
from catbuilder.sets.crossmatch import crossmatch
from catbuilder.sets.firewall import update_firewall
from catbuilder.sets.testsets import add_test_set

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ARCSEC = 1 / 3600
GZ1 = 587_722_983_361_000_005  # an id of SDSS DR7

# catalogued SDSS galaxies, by id; every image is somewhere near one of them
GALAXIES = {100: (10.0, 0.0), 200: (359.99999, 30.0), 300: (40.0, 89.99), 400: (50.0, -5.0)}
IMAGES = {
    1: (100, 0.3, "spiral"),  # (of, arcsec north of it, label)
    2: (100, 0.5, "elliptical"),
    3: (200, 0.9, "elliptical"),
    4: (300, 1.2, "spiral"),  # too far
    5: (400, 0.2, ""),
}


def bring_in(workspace: Workspace, places: dict[int, tuple[float, float]], survey: str = "sdss") -> None:
    """Rows of a survey's catalogue."""
    ra, dec = (np.array(column, float) for column in zip(*places.values(), strict=True))
    with workspace.recording(f"catalogue of {survey}") as recording:
        columns = {"object_id": pa.array(places, pa.int64()), "ra": ra, "dec": dec, "healpix": healpix_cell(ra, dec)}
        recording.con.register("made", pa.table(columns))
        recording.con.execute(
            "INSERT INTO objects BY NAME SELECT *, ? AS survey, ? AS origin, 1 AS round, ? AS run FROM made",
            [survey, survey, recording.run],
        )


def bring_images(workspace: Workspace, folder: Path, names: dict[int, tuple[int, float, str]], **options) -> None:
    """Images of galaxies, all different."""
    write_images(folder, [f"{n}.png" for n in names], seed=min(names))
    rows = [
        (n, f"{n}.png", GALAXIES[of][0], GALAXIES[of][1] + north * ARCSEC, label)
        for n, (of, north, label) in names.items()
    ]
    table = write_csv(folder / "table.csv", ["object_id", "file", "ra", "dec", "label"], *rows)
    assert not ingest_images(workspace, folder, table, **{"survey": "sdss"} | options).rejections


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("identity")
    workspace = create_workspace(folder / "ws", stamp_size=SIZE)
    bring_images(workspace, folder / "images", IMAGES)
    bring_in(workspace, GALAXIES)
    return workspace.path


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Workspace:
    """Five images of four catalogued galaxies, not linked yet."""
    return Workspace.open(shutil.copytree(made, tmp_path / "ws"))


@pytest.fixture(scope="module")
def made_and_linked(made: Path, copy_of: Callable[[Path], Path]) -> Path:
    path = copy_of(made)
    find_aliases(Workspace.open(path))
    return path


@pytest.fixture
def linked(made_and_linked: Path, tmp_path: Path) -> Workspace:
    """The same, linked."""
    return Workspace.open(shutil.copytree(made_and_linked, tmp_path / "ws"))


def aliases(workspace: Workspace) -> list[tuple]:
    return ask(workspace, "SELECT object_id, of_object_id FROM aliases ORDER BY ALL")


def stamp_file(workspace: Workspace, object_id: int) -> str | None:
    rows = ask(workspace, "SELECT file FROM standing_stamps_at() WHERE object_id = ?", object_id)
    return Path(rows[0][0]).name if rows else None


def labels(workspace: Workspace, object_id: int) -> list[tuple]:
    return ask(workspace, "SELECT label, source, annotator FROM labels WHERE object_id = ? ORDER BY event", object_id)


def record(workspace: Workspace, *events: dict) -> None:
    with workspace.recording("labels") as recording:
        add_events(recording, *events)


# --- which object an image shows


def test_an_image_within_the_radius_is_the_nearest_catalogued_object(workspace):
    assert find_aliases(workspace) == AliasReport(
        considered=5, identified=4, stamps=3, splits=3, labels=2, exclusions=0
    )
    assert aliases(workspace) == [(1, 100), (2, 100), (3, 200), (5, 400)]
    separations = ask(workspace, "SELECT separation_arcsec FROM aliases ORDER BY object_id")
    assert [row[0] for row in separations] == pytest.approx([0.3, 0.5, 0.9, 0.2], abs=1e-6)


def test_the_catalogue_shows_each_galaxy_once_under_the_surveys_id(linked):
    rows = ask(linked, "SELECT object_id, label, source, split, quality FROM catalog ORDER BY object_id")
    assert rows == [
        (4, "spiral", "imported", "train", "ok"),  # an image of nothing that is catalogued
        (100, "spiral", "imported", "train", "ok"),
        (200, "elliptical", "imported", "train", "ok"),
        (300, None, None, None, None),
        (400, None, None, "pool", "ok"),
    ]


def test_a_second_call_adds_nothing(linked):
    before = ask(linked, "FROM runs")
    assert find_aliases(linked) == AliasReport(considered=1)
    assert ask(linked, "FROM runs") == before


def test_a_wider_radius_finds_more_later(linked):
    assert find_aliases(linked, 1.5).identified == 1
    assert (4, 300) in aliases(linked)


def test_images_are_not_linked_to_objects_of_another_survey(workspace, tmp_path):
    bring_images(workspace, tmp_path / "des", {7: (100, 0.1, "spiral")}, survey="des")
    find_aliases(workspace)
    assert 7 not in dict(aliases(workspace))


def test_without_a_catalogue_no_image_becomes_an_alias(tmp_path):
    workspace = create_workspace(tmp_path / "ws", stamp_size=SIZE)
    bring_images(workspace, tmp_path / "images", IMAGES)
    assert find_aliases(workspace) == AliasReport(considered=5)


def test_a_radius_out_of_range_is_refused(workspace):
    for radius in (0, 61, float("nan")):
        with pytest.raises(InputError, match="above 0 and up to 60 arcsec"):
            find_aliases(workspace, radius)


def test_a_test_object_keeps_the_id_that_its_frozen_set_names(workspace, tmp_path):
    add_test_set(workspace, "HP", write_csv(tmp_path / "hp.csv", ["object_id", "label"], (1, "spiral")), survey="sdss")
    find_aliases(workspace)
    assert aliases(workspace) == [(2, 100), (3, 200), (5, 400)]
    assert stamp_file(workspace, 100) == "2.png"
    assert ask(workspace, "SELECT test_set FROM catalog WHERE object_id = 1") == [("HP",)]


# --- what is copied to the object


def test_the_object_takes_the_nearest_good_stamp_as_it_is(linked):
    columns = "SELECT * EXCLUDE (object_id, round, run) FROM stamps WHERE object_id = ?"
    assert ask(linked, columns, 100) == ask(linked, columns, 1)


def test_a_good_stamp_farther_away_is_better_than_a_flagged_one(workspace):
    with workspace.recording("flag") as recording:
        recording.con.execute("UPDATE stamps SET quality = 'saturated' WHERE object_id IN (1, 5)")
    find_aliases(workspace)
    assert stamp_file(workspace, 100) == "2.png"
    assert stamp_file(workspace, 400) == "5.png"  # better than none


def test_an_image_that_cannot_be_read_gives_no_stamp_until_it_is_mended(workspace):
    with workspace.recording("unreadable") as recording:
        recording.con.execute(
            "UPDATE stamps SET shard = NULL, row = NULL, quality = 'unreadable' WHERE object_id IN (3, 5)"
        )
    assert find_aliases(workspace).stamps == 1
    assert stamp_file(workspace, 200) is None
    with workspace.recording("mended") as recording:
        recording.con.execute(
            "INSERT INTO stamps SELECT * REPLACE ('s.npy' AS shard, 0 AS row, 'ok' AS quality, ? AS run) "
            "FROM stamps WHERE object_id = 3",
            [recording.run],
        )
    assert find_aliases(workspace).stamps == 1
    assert stamp_file(workspace, 200) == "3.png"


def test_what_the_object_has_already_is_kept(workspace, tmp_path):
    folder = write_images(tmp_path / "own", ["own.png"], seed=70)
    table = write_csv(folder / "table.csv", ["object_id", "file"], (100, "own.png"))
    ingest_images(workspace, folder, table, survey="sdss", split="pool")
    record(workspace, label_event("sdss", 100, "elliptical"), label_event("sdss", 100, "elliptical", "human"))
    report = find_aliases(workspace)
    assert (report.stamps, report.splits, report.labels) == (2, 2, 1)
    assert stamp_file(workspace, 100) == "own.png"
    assert ask(workspace, "SELECT split, label FROM catalog WHERE object_id = 100") == [("pool", "elliptical")]


def test_the_latest_label_of_every_source_and_annotator_is_copied_but_no_promotion(workspace):
    record(
        workspace,
        label_event("sdss", 5, "elliptical", "human", annotator="edwin", confidence=0.75),
        label_event("sdss", 5, "spiral", "human", annotator="edwin", confidence=0.5),
        label_event("sdss", 5, "elliptical", "human", annotator="vera"),
        label_event("sdss", 5, "spiral", "galaxy_zoo"),
        label_event("sdss", 5, "spiral", "imported"),
    )
    retracted = ask(workspace, "SELECT max(event) FROM labels")[0][0]
    record(workspace, label_event("sdss", 5, "spiral") | {"kind": "retraction", "retracts": retracted})
    with workspace.recording("promoted") as recording:
        recording.con.execute(
            "INSERT INTO labels SELECT * REPLACE (99 AS event, 'promoted' AS source) FROM labels WHERE event = 4"
        )
    find_aliases(workspace)
    assert labels(workspace, 400) == [
        ("spiral", "human", "edwin"), ("elliptical", "human", "vera"), ("spiral", "galaxy_zoo", None),
    ]  # fmt: skip
    rows = ask(workspace, "SELECT confidence, reason FROM labels WHERE object_id = 400 AND annotator = 'edwin'")
    assert rows == [(0.5, "given to image 5, which shows it 0.20 arcsec away")]
    (reason,) = ask(workspace, "SELECT reason FROM labels WHERE object_id = 100")
    assert reason == ("given to image 1, which shows it 0.30 arcsec away: ingested with 1.png",)


def test_a_label_given_to_an_image_later_is_copied_by_the_next_call(linked):
    record(linked, label_event("sdss", 5, "spiral", "human"))
    assert find_aliases(linked) == AliasReport(considered=1, labels=1)
    assert labels(linked, 400) == [("spiral", "human", None)]


def test_what_the_firewall_knows_of_an_image_holds_for_the_object(workspace, tmp_path):
    with workspace.recording("firewall") as recording:
        recording.con.execute(
            "INSERT INTO exclusions (survey, object_id, rule, test_set, test_survey, test_object_id, "
            "separation_arcsec, similarity, round, run) "
            "VALUES ('sdss', 2, 'content', 'HP', 'des', 9, NULL, 0.98, 1, ?)",
            [recording.run],
        )
    assert find_aliases(workspace).exclusions == 1
    asked = "SELECT rule, test_survey, test_object_id, similarity > 0.97 FROM exclusions WHERE object_id = ?"
    assert ask(workspace, asked, 100) == [("content", "des", 9, True)]
    # a set that comes later and names an image means the galaxy
    add_test_set(workspace, "FO", write_csv(tmp_path / "fo.csv", ["object_id", "label"], (3, "spiral")), survey="sdss")
    assert find_aliases(workspace).exclusions == 0
    assert ask(workspace, "SELECT test_set FROM catalog WHERE object_id = 200") == [("FO",)]


# --- the firewall


def trains(workspace: Workspace) -> set[int]:
    with workspace.reading() as con:
        rows = con.execute(query("sets/training_candidates"), {"round": 1}).fetchall()
    return {object_id for _, object_id, *_ in rows}


def test_an_image_near_a_test_galaxy_keeps_out_the_object_that_it_shows(workspace, tmp_path):
    bring_in(workspace, {500: (60.0, 0.0), 501: (60.0, 5.5 * ARCSEC)})
    add_test_set(workspace, "HP", write_csv(tmp_path / "t.csv", ["object_id", "label"], (500, "spiral")), survey="sdss")
    folder = write_images(tmp_path / "near", ["near.png"], seed=71)
    table = write_csv(
        folder / "t.csv", ["object_id", "file", "ra", "dec", "label"], (50, "near.png", 60.0, 4.7 * ARCSEC, "spiral")
    )
    ingest_images(workspace, folder, table, survey="sdss")
    find_aliases(workspace)
    assert 501 in trains(workspace)
    update_firewall(workspace, 5.0)
    assert trains(workspace) == {4, 100, 200}
    rows = ask(workspace, "SELECT rule, test_object_id, separation_arcsec FROM exclusions WHERE object_id = 501")
    assert rows == [("position", 500, pytest.approx(4.7, abs=1e-6))]


def test_what_lies_near_an_image_of_a_test_or_calibration_galaxy_is_out(workspace, tmp_path):
    bring_in(workspace, {101: (10.0, 5.3 * ARCSEC), 201: (359.99999, 30 + 5.5 * ARCSEC)})  # 0.5 and 0.9 are images
    bring_images(workspace, tmp_path / "more", {11: (100, 5.3, "spiral"), 12: (200, 5.5, "spiral")})
    find_aliases(workspace)
    add_test_set(workspace, "HP", write_csv(tmp_path / "t.csv", ["object_id", "label"], (100, "spiral")), survey="sdss")
    say(workspace, tmp_path / "said", ["split"], (3, "calibration"))
    update_firewall(workspace, 5.0)
    rows = ask(workspace, "SELECT object_id, rule, test_set, test_object_id FROM exclusions ORDER BY ALL")
    assert rows == [(101, "position", "HP", 100), (201, "position", "calibration", 200)]


def test_an_object_is_out_beside_its_image_that_a_test_set_names(linked):
    with linked.recording("a set that was listed with the image's id") as recording:
        recording.con.execute(
            "INSERT INTO test_sets VALUES ('HP', 'sdss', 1, 'spiral', 0.9, 1, ?, NULL)", [recording.run]
        )
    update_firewall(linked, 5.0)
    assert ask(linked, "SELECT object_id, test_object_id FROM exclusions") == [(100, 1)]


# --- labels and splits given to an image later


def say(workspace: Workspace, folder: Path, header: list[str], *rows: tuple, **options) -> None:
    """Ingest the images again, by a table with other values."""
    write_images(folder, [f"{n}.png" for n in IMAGES], seed=min(IMAGES))
    table = write_csv(
        folder / "said.csv", ["object_id", "file", *header], *[(r[0], f"{r[0]}.png", *r[1:]) for r in rows]
    )
    assert not ingest_images(workspace, folder, table, survey="sdss", **options).rejections


def split_of(workspace: Workspace, object_id: int) -> tuple:
    (row,) = ask(workspace, "SELECT split, stated FROM standing_splits_at() WHERE object_id = ?", object_id)
    return row


def give_split(workspace: Workspace, object_id: int, split: str, stated: bool | None = None) -> None:
    with workspace.recording("a rule") as recording:
        recording.con.execute(
            "INSERT INTO splits BY NAME SELECT 'sdss' AS survey, ? AS object_id, ? AS split, ? AS stated, 1 AS round, "
            "? AS run",
            [object_id, split, stated, recording.run],
        )


def test_a_corrected_label_and_split_of_an_image_reach_its_object_at_once_and_only_once(linked, tmp_path):
    corrected = (["label", "split"], (1, "elliptical", "none"), (2, "elliptical", ""))
    say(linked, tmp_path, *corrected)
    shown = "SELECT label, split FROM catalog WHERE object_id = 100"
    assert ask(linked, shown) == [("elliptical", "none")]
    counted = "SELECT (SELECT count(*) FROM labels), (SELECT count(*) FROM splits)"
    before = ask(linked, counted)
    say(linked, tmp_path, *corrected)
    assert find_aliases(linked) == AliasReport(considered=1)
    assert ask(linked, counted) == before


def test_an_older_table_of_a_farther_image_does_not_take_the_label_back(linked, tmp_path):
    for _ in range(2):
        say(linked, tmp_path, ["label"], (2, "elliptical"))
        say(linked, tmp_path, ["label"], (1, "spiral"))
    assert labels(linked, 100) == [("spiral", "imported", None)]


def test_a_label_of_the_object_later_than_the_images_stands(linked, tmp_path):
    say(linked, tmp_path, ["label"], (1, "elliptical"))
    record(linked, label_event("sdss", 100, "spiral"))
    find_aliases(linked)
    assert [label for label, *_ in labels(linked, 100)] == ["spiral", "elliptical", "spiral"]


def test_a_default_split_is_no_statement(workspace, tmp_path):
    folder = write_images(tmp_path, ["own.png"], seed=72)
    table = write_csv(folder / "t.csv", ["object_id", "file"], (100, "own.png"))
    ingest_images(workspace, folder, table, survey="sdss", default_split="none")
    assert split_of(workspace, 1) == ("train", False)
    assert split_of(workspace, 100) == ("none", False)
    find_aliases(workspace)
    assert split_of(workspace, 100) == ("none", False)
    with pytest.raises(InputError, match="unknown split 'nothing'"):
        ingest_images(workspace, folder, table, survey="sdss", split="pool", default_split="nothing")


def test_a_stated_split_of_an_image_wins_over_a_default_and_over_a_rule_until_the_rule_has_seen_it(workspace, tmp_path):
    give_split(workspace, 100, "train")
    say(workspace, tmp_path, ["split"], (1, "none"))
    find_aliases(workspace)
    assert split_of(workspace, 100) == ("none", True)
    give_split(workspace, 100, "pool")
    assert find_aliases(workspace).splits == 0
    say(workspace, tmp_path, ["split"], (1, "validation"))
    assert split_of(workspace, 100) == ("validation", True)


def test_a_stated_split_of_the_object_gives_way_to_a_later_word_on_its_image_alone(workspace, tmp_path):
    say(workspace, tmp_path, ["split"], (1, "none"))
    give_split(workspace, 100, "pool", stated=True)
    find_aliases(workspace)
    assert split_of(workspace, 100) == ("pool", True)
    say(workspace, tmp_path, ["split"], (1, "train"))
    assert split_of(workspace, 100) == ("train", True)


def test_an_image_that_calibrates_makes_its_object_calibrate_for_good(workspace, tmp_path):
    give_split(workspace, 100, "train", stated=True)
    say(workspace, tmp_path, ["split"], (2, "calibration"))
    find_aliases(workspace)
    assert split_of(workspace, 100)[0] == "calibration"
    say(workspace, tmp_path, ["split"], (1, "none"), (2, "train"))
    assert find_aliases(workspace).splits == 0
    assert split_of(workspace, 100)[0] == "calibration"


def test_stating_what_was_a_default_makes_it_a_statement_once(workspace, tmp_path):
    for _ in range(2):
        say(workspace, tmp_path, ["split"], (1, "train"))
    assert ask(workspace, "SELECT stated FROM splits WHERE object_id = 1 ORDER BY run") == [(False,), (True,)]


# --- measurements by two tables


MEASURED = ["ra", "dec", "mag_r", "radius_arcsec", "domain"]


def test_what_an_image_table_measured_stays_whichever_file_comes_first(tmp_path):
    found = []
    folder = write_images(tmp_path, ["a.png"], seed=73)
    table = write_csv(folder / "i.csv", ["object_id", "file", *MEASURED], (GZ1, "a.png", 10.0, -5.0, 15.5, 7, "star"))
    header = ["OBJID", "RA", "DEC", "NVOTE", "P_EL_DEBIASED", "P_CS_DEBIASED"]
    votes = write_csv(folder / "g.csv", header, (GZ1, 10.0, -5.0, 30, 0.9, 0.1))
    for name, order in (("first", "ig"), ("last", "gii")):
        workspace = create_workspace(tmp_path / name, stamp_size=SIZE)
        for kind in order:
            if kind == "i":
                ingest_images(workspace, folder, table, survey="sdss")
            else:
                assert cli("-w", workspace.path, "ingest", "gz1", votes).code == 0
        found.append(ask(workspace, "SELECT mag_r, radius_arcsec, domain, ra, votes FROM catalog"))
        assert ask(workspace, "SELECT count(*), count(DISTINCT run) FROM objects") == [(2, 2)]
        assert ask(workspace, "SELECT count(*) FROM revisions") == [(1,)]
        assert ask(workspace, "SELECT origin FROM standing_objects_at()") == [("gz1",)]
        assert cli("-w", workspace.path, "check").code == 0
    assert found[0] == found[1] == [(15.5, 7.0, "star", 10.0, pytest.approx(0.9))]


def test_a_table_that_measures_more_adds_it_and_changes_nothing_that_stands(workspace, tmp_path):
    say(workspace, tmp_path, ["mag_r"], (4, 17.25))
    say(workspace, tmp_path, ["mag_r", "domain"], (4, 18, "star"))
    assert ask(workspace, "SELECT mag_r, domain FROM catalog WHERE object_id = 4") == [(17.25, "star")]
    assert ask(workspace, "SELECT count(*) FROM objects WHERE object_id = 4") == [(3,)]


# --- other processes record meanwhile


def test_find_aliases_searches_again_if_a_catalogue_is_ingested_meanwhile(workspace, monkeypatch):
    recording, late = Workspace.recording, iter([{600: (40.0, 89.99 + 1.5 * ARCSEC)}])

    def slow(workspace, what="", **more):
        for places in late:  # once
            bring_in(workspace, places)
        return recording(workspace, what, **more)

    monkeypatch.setattr(Workspace, "recording", slow)
    assert find_aliases(workspace).identified == 5
    assert (4, 600) in aliases(workspace)


def test_find_aliases_gives_up_if_others_keep_recording(workspace, monkeypatch):
    monkeypatch.setattr(Workspace, "recording", _after_another(Workspace.recording))
    with pytest.raises(WorkspaceBusy, match="5 times while this one was reading it, and nothing is recorded"):
        find_aliases(workspace)
    assert aliases(workspace) == []


def _after_another(recording):
    """Another process always records first."""

    def slow(workspace, what="", **more):
        with recording(workspace, "another"):
            pass
        return recording(workspace, what, **more)

    return slow


def test_the_checks_hold_afterwards(linked):
    done = cli("-w", linked.path, "check")
    assert done.code == 0, done


# --- commands


def test_crossmatch_identifies_first_and_matches_the_object_and_not_its_image(workspace):
    bring_in(workspace, {900: (10.0, 0.4 * ARCSEC)}, survey="des")
    done = cli("-w", workspace.path, "crossmatch")
    assert "Of 5 images with a position, 4 show a catalogued object of the same survey" in done.out
    assert "3 stamps, 3 splits, 2 labels and 0 exclusions" in done.out
    assert ask(workspace, "SELECT object_id_a, object_id_b FROM matches") == [(100, 900)]
    assert crossmatch(workspace).images == AliasReport(considered=1)


def test_why_of_an_image_continues_with_its_object(workspace):
    bring_in(workspace, {900: (10.0, 0.4 * ARCSEC)}, survey="des")
    crossmatch(workspace)
    story = why(workspace, "1")
    assert (story.now["object_id"], story.now["label"]) == (100, "spiral")
    told = [(what, detail) for _, what, detail in story.events]
    assert told[0][0] == "ingested" and told[0][1].startswith("at ra 10.0")
    assert ("identified", "is the image of sdss 100, 0.30 arcsec away, and stands for it") in told
    of_object = told[told.index(("ingested", "at ra 10.000000, dec 0.000000 deg, from a sdss catalogue")) :]
    assert ("identified", "shown by image 1, 0.30 arcsec away") in of_object
    assert ("identified", "shown by image 2, 0.50 arcsec away") in of_object
    assert ("match", "matched with des 900 at 0.40 arcsec") in of_object
    assert [what for what, _ in of_object][-1] == "match"
    shown = cli("-w", workspace.path, "why", "1", "--format", "json")
    assert len(json.loads(shown.out)) == len(told)


def test_why_shows_votes_and_domain(workspace):
    with workspace.recording("more") as recording:
        key = [recording.run]
        recording.con.execute(
            "INSERT INTO galaxy_zoo (survey, object_id, nvote, p_el, p_cs, p_el_debiased, p_cs_debiased, round, run) "
            "VALUES ('sdss', 100, 31, 0.1, 0.8, 0.05, 0.9, 1, ?)",
            key,
        )
        recording.con.execute("INSERT INTO populations VALUES ('sdss', 'bright', 'abc', 'SELECT', 1, ?)", key)
        recording.con.execute("INSERT INTO domains VALUES ('sdss', 100, 'star', 'it is a point', 1, ?)", key)
    told = [(what, detail) for _, what, detail in why(workspace, "100").events]
    assert ("votes", "31 volunteers: elliptical 0.100, spiral 0.800; debiased 0.050, 0.900") in told
    assert ("domain", "star of the population bright: it is a point") in told


def test_a_label_imported_for_an_image_is_recorded_for_the_object(linked, tmp_path):
    table = write_csv(tmp_path / "mine.csv", ["object_id", "label"], (5, "spiral"), (300, "spiral"), (6, "spiral"))
    done = cli("-w", linked.path, "labels", "import", table, "--source", "human")
    assert done.out.startswith("2 labels recorded") and "object 6 is not in the catalogue" in done.err
    assert labels(linked, 400) == [("spiral", "human", None)]
    rows = ask(linked, "SELECT object_id, reason FROM labels WHERE source = 'human' ORDER BY event")
    assert rows == [(400, "imported from mine.csv, row 2, where it is given to image 5"),
                    (300, "imported from mine.csv, row 3")]  # fmt: skip
    assert find_aliases(linked) == AliasReport(considered=1)


def test_answers_about_an_image_and_about_the_object_that_it_shows_are_votes_on_one_object(linked, tmp_path):
    by_image, by_object = {"#object_id": 5, "#survey": "sdss"}, {"#object_id": 400}
    rows = [classification("ann", 5, task("Spiral"), fields=by_image)]
    rows += [classification(user, 400, task("Star"), fields=by_object) for user in ("bob", "cy")]
    file = write_classifications(tmp_path / "votes.csv", rows)
    done = cli("-w", linked.path, "labels", "import", file, "--layout", "zooniverse")
    assert "of 3 people 2 gave an answer that means no class, 1 answered spiral" in done.err
    assert labels(linked, 400) == []


# --- real images


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = create_workspace(tmp_path_factory.mktemp("real") / "ws", stamp_size=16)
    file = str(DATA / "catalogs" / "sdss_dr7_photoobj.csv.gz")
    rows = duckdb.execute("SELECT objid, ra, dec FROM read_csv($file)", {"file": file}).fetchall()
    bring_in(workspace, {object_id: (ra, dec) for object_id, ra, dec in rows})
    for name, table in (("sdss_s82", "objects.csv"), ("sdss_gz1_spirals", "labels.csv")):
        header, *listed = (DATA / name / table).read_text().splitlines(keepends=True)
        some = workspace.path.parent / table
        some.write_text(header + "".join(listed[::4]))  # to read all images takes most of the time of this test
        ingest_images(workspace, DATA / name / "images", some, survey="sdss")
    return workspace


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the optional folder ../shared/data is not here")
def test_real_images_are_the_catalogued_galaxies_that_astropy_finds_beside_them(real):
    images, catalogue = (
        ask(real, f"SELECT object_id, ra, dec FROM objects WHERE origin {which} 'images' ORDER BY object_id")
        for which in ("=", "<>")
    )
    sky = [SkyCoord(np.array([place for _, *place in rows]), unit="deg") for rows in (images, catalogue)]
    index, apart, _ = sky[0].match_to_catalog_sky(sky[1])
    expected = [(images[j][0], catalogue[i][0]) for j, i in enumerate(index) if apart[j].arcsec <= 1]
    report = find_aliases(real)
    assert aliases(real) == expected
    assert (report.considered, report.identified) == (len(images), len(expected))
    assert sum(str(image).startswith("82") for image, _ in expected) == 40
    assert report.stamps == report.splits == len({galaxy for _, galaxy in expected})
    assert report.labels == len({galaxy for image, galaxy in expected if str(image).startswith("81")})
    assert find_aliases(real).identified == 0
