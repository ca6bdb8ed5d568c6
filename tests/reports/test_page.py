"""The report: one page that holds all it shows, says what it cannot show, and never fails for want of a part."""

import base64
import io
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright
from support.new_workspace import create_workspace
from support.workspaces import add_objects, cli, close_round, failed, surveyed

from catbuilder.catalogue.schema import apply_views, keep_column
from catbuilder.catalogue.workspace import Workspace
from catbuilder.reports.data import read_scope
from catbuilder.reports.embedding import _mixing
from catbuilder.reports.page import write_report
from catbuilder.reports.parts import legend_columns
from catbuilder.reports.promotions import _blocks, _placed, _size
from catbuilder.reports.sky import _extent
from catbuilder.reports.tiles import _tiles, judged_words, same_share

SECTIONS = [
    "glance", "rounds", "accuracy", "errors", "promotions", "features", "sky", "photometry", "checks", "shifts",
    "certificates", "provenance",
]  # fmt: skip
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "link", "img"}


class Page(HTMLParser):
    """A page that is well nested: its sections, links, figures and what stands in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.open = text, list[str]()
        self.sections, self.ids, self.links = list[str](), list[str](), list[str]()
        self.pictures, self.tables = list[dict[str, str]](), 0
        self.said = ""
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids += [values["id"]] if "id" in values else []
        self.sections += [values["id"]] if tag == "section" else []
        self.links += [values[name] for name in ("href", "src", "srcset", "action", "data") if name in values]
        self.pictures += [values] if tag == "img" else []
        self.tables += tag == "table"
        assert tag not in ("script", "iframe", "object", "form")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        self.said += data


def page_of(file: Path) -> Page:
    return Page(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reported(second_round: Path, copy_of: Callable[[Path], Path]) -> tuple[Workspace, Page, Path]:
    """Two real rounds with HP in two surveys, their report, and the folder of its figures."""
    workspace = Workspace.open(copy_of(second_round))
    figures = workspace.path / "figures"
    outcome = write_report(workspace, figures=figures)
    assert outcome.file == workspace.path / "reports" / "report-2.html"
    assert outcome.size < 10e6 and outcome.figures == len(list(figures.glob("*.png"))) == len(
        list(figures.glob("*.pdf"))
    )
    return workspace, page_of(outcome.file), figures


# --- the page


def test_every_section_is_there_in_order_and_in_the_contents(reported: tuple[Workspace, Page, Path]) -> None:
    _, page, _ = reported
    assert page.sections == SECTIONS
    assert [link.removeprefix("#") for link in page.links if link.startswith("#")] == SECTIONS
    assert len(set(page.ids)) == len(page.ids)


def test_nothing_is_asked_for_from_elsewhere(reported: tuple[Workspace, Page, Path]) -> None:
    _, page, _ = reported
    assert all(link.startswith(("#", "data:")) for link in page.links)
    styles = "".join(re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL))
    assert "url(" not in styles and "@import" not in styles


def test_figures_have_words_and_a_picture_for_light_dark_and_print(reported: tuple[Workspace, Page, Path]) -> None:
    _, page, _ = reported
    assert len(page.pictures) >= 8
    for light, dark in zip(page.pictures[::2], page.pictures[1::2], strict=True):
        assert (light["class"], dark["class"]) == ("light", "dark") and light["alt"] == dark["alt"]
        assert len(light["alt"]) > 20 and int(light["width"]) <= 830
        assert light["src"] != dark["src"]
        for picture in (light, dark):
            _readable(picture["src"])


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; on Debian: apt-get install chromium")
def test_a_dark_screen_has_dark_figures_and_paper_has_light_ones(reported: tuple[Workspace, Page, Path]) -> None:
    workspace, page, _ = reported
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        seen = browser.new_page(color_scheme="dark")
        seen.goto((workspace.path / "reports" / "report-2.html").as_uri())
        figures = len(page.pictures) // 2
        for medium, shown in (("screen", "dark"), ("print", "light")):
            seen.emulate_media(media=medium, color_scheme="dark")
            assert seen.locator("figure img:visible").count() == figures
            assert seen.locator(f"figure img.{shown}:visible").count() == figures
        browser.close()


def _readable(uri: str) -> None:
    kind, content = uri.removeprefix("data:image/").split(";base64,")
    data = base64.b64decode(content)
    if kind == "svg+xml":
        assert ElementTree.fromstring(data).tag.endswith("svg")
    else:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
        assert pixels.std() > 1, "an empty picture"


def test_the_numbers_are_those_of_the_catalogue(reported: tuple[Workspace, Page, Path]) -> None:
    workspace, page, _ = reported
    with workspace.reading() as con:
        ((accuracy, low, high),) = con.execute(
            "SELECT value, low, high FROM metrics WHERE round = 2 AND test_set = 'HP' AND survey = 'des' "
            "AND metric = 'accuracy' AND coverage = 1 AND variable IS NULL AND truth = 'debiased'"
        ).fetchall()
        ((sha256,),) = con.execute("SELECT sha256 FROM models WHERE model = 2").fetchall()
    assert f"{100 * accuracy:.1f} [{100 * low:.1f}, {100 * high:.1f}]" in page.said
    assert sha256 in page.said


def test_what_is_missing_is_said_with_what_would_bring_it(reported: tuple[Workspace, Page, Path]) -> None:
    _, page, _ = reported
    for words in ("No colour-magnitude diagram", "No check against seeing", "--keep", "There is no certificate"):
        assert words in page.said
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+", "", page.said.lower())


def test_the_same_catalogue_gives_the_same_report(reported: tuple[Workspace, Page, Path], tmp_path: Path) -> None:
    workspace, page, _ = reported
    write_report(workspace, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page.text


def test_as_of_an_earlier_round_nothing_of_later_ones_is_in_it(
    reported: tuple[Workspace, Page, Path], tmp_path: Path
) -> None:
    workspace, page, _ = reported
    done = cli("-w", workspace.path, "report", tmp_path / "one.html", "--at", 1)
    assert done.code == 0 and "figures" in done.out, done
    one = page_of(tmp_path / "one.html")
    assert "There is one measured round, 1" in one.said and "Became right" in page.said
    assert "Became right" not in one.said and "Round 2" not in one.said
    with workspace.reading() as con:
        ((sha256,),) = con.execute("SELECT sha256 FROM models WHERE model = 2").fetchall()
    assert sha256 not in one.said


# --- little to show


def test_a_fresh_workspace_is_told_what_to_do(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ws")
    page = page_of(write_report(workspace).file)
    assert page.sections == ["glance", "provenance"] and not page.pictures
    assert "catbuilder ingest images" in page.said
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 4))
    assert "run one with: catbuilder round" in page_of(write_report(workspace).file).said


def test_without_stamps_features_magnitudes_and_positions_each_gap_is_said(tmp_path: Path) -> None:
    workspace = surveyed(tmp_path / "ws")
    with workspace.recording("no positions") as recording:
        recording.con.execute("UPDATE objects SET ra = NULL, dec = NULL, healpix = NULL")
    outcome = write_report(workspace)
    page = page_of(outcome.file)
    assert page.sections == SECTIONS
    for words in ("No t-SNE", "No sky map", "No mosaic of round 2", "No check", "No shift is measured"):
        assert any(sentence.startswith(words) for sentence in outcome.missing), words


def test_ten_classes_with_all_that_an_archive_measured(tmp_path: Path) -> None:
    names = [f"t{number}" for number in range(10)]
    workspace = create_workspace(tmp_path / "ws", names, 32)
    rng = np.random.default_rng(0)
    ids, test = range(1, 301), range(1, 101)
    with workspace.recording("objects") as recording:
        con, place = recording.con, [recording.round, recording.run]
        keep_column(con, "des_coadd", "psf_fwhm_i", "FLOAT", "arcsec", "PSF_FWHM_I")
        apply_views(con)
        columns = {"ra": (20, 40), "dec": (-50, -40), "mag_g": (15, 18), "mag_r": (14, 17), "radius_arcsec": (2, 9)}
        add_objects(recording, "des", ids, **{name: list(rng.uniform(*ends, 300)) for name, ends in columns.items()})
        con.execute(
            "INSERT INTO des_coadd BY NAME SELECT survey, object_id, 3.0 AS a_image, "
            "1.0 + object_id % 20 / 10 AS b_image, "
            "object_id % 7 AS nepochs_r, 0.8 + object_id % 13 / 40 AS psf_fwhm_i, 'DES' || object_id % 4 AS tilename, "
            "round, run FROM objects"
        )
        for n in test:
            con.execute("INSERT INTO test_sets VALUES ('HP', 'des', ?, ?, 0.9, ?, ?, NULL)", [n, names[n % 10], *place])
    scores = {("des", n): list(rng.dirichlet(np.eye(10)[n % 10] * 6 + 0.4)) for n in ids}
    close_round(workspace, scores, by_policy=True)
    page = page_of(write_report(workspace).file)
    drawn = {name.removeprefix("figure-") for name in page.ids}
    assert {"confusion", "roc", "size-magnitude", "axis-ratio", "conditions", "tiles", "sky"} <= drawn
    assert all(name in page.said for name in names)
    assert "Area under the ROC curve of each class" in page.said and "Flatter than 0.3" in page.said
    for words in ("A_IMAGE and B_IMAGE", "seeing (psf_fwhm_i, arcsec)", "depth (exposures in r)", "tile of the survey"):
        assert words in page.said


def test_a_test_set_that_was_declared_late_is_judged_without_what_was_trained_on(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ws", stamp_size=32)
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 31))
    scores = {("des", n): (0.9, 0.1) for n in range(1, 31)}
    close_round(workspace, scores, trained_on=[("des", n, "training", "elliptical") for n in (1, 2, 30)])
    with workspace.recording("testset HP") as recording:
        for n in range(1, 21):
            recording.con.execute(
                "INSERT INTO test_sets VALUES ('HP', 'des', ?, 'elliptical', 0.9, ?, ?, NULL)",
                [n, recording.round, recording.run],
            )
    for _ in range(2):
        close_round(workspace, scores)
    page = page_of(write_report(workspace).file)
    assert "after round 2 and round 3" in page.said and "100.0% of all 20" in page.text
    assert "Round 2" in page.said and "Round 1" not in page.said
    assert page.said.count("2 test galaxies are left out here") == 2
    assert page.said.count("Careful: these accuracies hold 2 galaxies that a round has trained on") == 3
    scope = read_scope(workspace)
    assert [scores.num_rows for scores in scope.test_scores.values()] == [18, 18]


def test_text_of_the_catalogue_is_text_in_the_page(tmp_path: Path) -> None:
    workspace = surveyed(tmp_path / "ws")
    with workspace.recording("<script>alert(1)</script>") as recording:
        recording.con.execute("SELECT 1")
    close_round(workspace, {("des", n): (0.9, 0.1) for n in range(1, 11)})
    assert "<script>alert(1)</script>" in page_of(write_report(workspace).file).said


# --- refusals


def test_refusals_are_one_sentence_and_leave_nothing(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ws")
    there = tmp_path / "there"
    there.write_text("mine")
    failed(cli("-w", workspace.path, "report", tmp_path / "report.pdf"), "let it end in .html")
    failed(cli("-w", workspace.path, "report", tmp_path / "none" / "report.html"), "there is no folder")
    failed(cli("-w", workspace.path, "report", "--figures", there), "is a file")
    failed(cli("-w", workspace.path, "report", "--at", 3), "no round 3")
    assert there.read_text() == "mine" and not list(tmp_path.glob("report*"))


# --- the numbers behind the figures


def test_a_large_catalogue_is_sampled_alike_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = create_workspace(tmp_path / "ws")
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 2001))
    close_round(workspace, {("des", n): (0.9, 0.1) for n in range(1, 2001)})
    monkeypatch.setattr("catbuilder.reports.data.SAMPLE", 100)
    first, second = (read_scope(workspace) for _ in range(2))
    assert first.scored == 2000 and 50 < first.sample.num_rows <= 100
    assert first.sample.equals(second.sample)


def test_a_footprint_around_zero_right_ascension_is_not_torn_apart() -> None:
    middle, width = _extent(np.array([350.0, 355.0, 5.0, 10.0]))
    assert (middle % 360, width) == (0, 20)


def test_groups_that_are_one_are_mixed_and_groups_apart_are_not() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200, 8)).astype(np.float32)
    assert _mixing(a, b) == pytest.approx(1, abs=0.1)
    assert _mixing(a, b + 20) == 0


def test_shares_that_differ_by_group_are_told_from_chance() -> None:
    names = np.array(["spiral", "elliptical"] * 200, dtype=object)
    assert same_share(np.arange(400) // 2 % 4, names) == pytest.approx(1)
    assert same_share(np.arange(400) % 2, names) < 1e-9
    assert same_share(np.zeros(400), names) is None
    assert "no difference that is resolved" in judged_words(0.02) and "differ more than chance" in judged_words(0.002)


def test_a_mosaic_shows_no_galaxy_twice_and_fits_a_page() -> None:
    def picks(name: str, n: int) -> list[dict[str, Any]]:
        ids = [100 * ord(name[0]) + i for i in range(n)]
        parts = (("surest", ids[:8]), ("least sure", ids[::-1][:8]))
        return [{"part": part, "label": name, "survey": "des", "object_id": number, "confidence": 0.9}
                for part, numbers in parts for number in numbers]  # fmt: skip

    two = list(_blocks(picks("elliptical", 10) + picks("spiral", 5), ("elliptical", "spiral")))
    assert [(block.title, len(block.members)) for block in two] == [
        ("elliptical, surest", 8), ("elliptical, least sure", 2), ("spiral, surest", 5)
    ]  # fmt: skip
    names = [letter * 3 for letter in "abcdefghij"]
    ten = list(_blocks([pick for name in names for pick in picks(name, 30)], names))
    assert [block.title.partition(":")[0] for block in ten] == names
    assert all(len(block.members) == block.width == 4 for block in ten)
    places, height = _placed(ten)
    assert len(set(places)) == 10 and height < 1000 and _size(["587722981742084096\nsdss"]) > 5


def test_a_legend_of_long_names_has_fewer_columns() -> None:
    assert legend_columns(["elliptical", "spiral"]) == 2
    assert legend_columns(["in_between_smooth"] * 10) == 4
    assert legend_columns(["x" * 300]) == 1


def test_where_tiles_are_not_named_cells_hold_enough_to_count(reported: tuple[Workspace, Page, Path]) -> None:
    scope = read_scope(reported[0])
    what, tiles = _tiles(scope.of_target(), {})
    assert "HEALPix" in what and np.unique(tiles.astype(str), return_counts=True)[1].max() >= 20
