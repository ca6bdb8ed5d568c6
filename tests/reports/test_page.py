"""The report: one page that loads nothing, says what it cannot show, and never fails because a part is missing."""

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
from catbuilder.reports.data import read_report_data
from catbuilder.reports.embedding import _mixing
from catbuilder.reports.figure_style import legend_columns
from catbuilder.reports.page import report
from catbuilder.reports.promotions import _blocks, _placed, _size
from catbuilder.reports.sky import _extent
from catbuilder.reports.tiles import _tiles, describe_difference, difference_p_value

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
    outcome = report(workspace, figures=figures)
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


def test_the_page_loads_nothing_from_elsewhere(reported: tuple[Workspace, Page, Path]) -> None:
    _, page, _ = reported
    assert all(link.startswith(("#", "data:")) for link in page.links)
    styles = "".join(re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL))
    assert "url(" not in styles and "@import" not in styles


def test_each_figure_has_one_picture_and_a_text_in_its_place(reported: tuple[Workspace, Page, Path]) -> None:
    _, page, figures = reported
    assert len(page.pictures) == len(list(figures.glob("*.png"))) >= 8
    assert {picture["class"] for picture in page.pictures} == {"chart", "photo"}
    for picture in page.pictures:
        assert len(picture["alt"]) > 20 and int(picture["width"]) <= 830
        _readable(picture["src"])


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; on Debian: apt-get install chromium")
def test_charts_are_dark_on_a_dark_screen_and_light_on_paper_and_stay_readable(
    reported: tuple[Workspace, Page, Path],
) -> None:
    workspace, _, _ = reported
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        seen = browser.new_page(viewport={"width": 900, "height": 900})
        seen.goto((workspace.path / "reports" / "report-2.html").as_uri())
        for medium, scheme, dark in (("screen", "dark", True), ("screen", "light", False), ("print", "dark", False)):
            seen.emulate_media(media=medium, color_scheme=scheme)
            for name in ("accuracy", "confusion", "sky"):
                grey = _grey(seen.locator(f"#figure-{name} img").screenshot())
                ground, ink = float(np.median(grey[[0, -1]])), float(grey.max() if dark else grey.min())
                assert (ground < 40) if dark else (ground > 240), (name, medium, scheme)
                assert abs(ink - ground) > 150, (name, medium, scheme)
            mosaic = _grey(seen.locator("#figure-mosaic-002 img").screenshot())
            assert np.median(mosaic) < 60, "stamps are never inverted: they are dark on every page"
        browser.close()


def _grey(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def _readable(uri: str) -> None:
    kind, content = uri.removeprefix("data:image/").split(";base64,")
    data = base64.b64decode(content)
    if kind == "svg+xml":
        assert ElementTree.fromstring(data).tag.endswith("svg")
    else:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        assert pixels.std(axis=(0, 1)).max() > 1, "an empty picture"


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


def test_missing_parts_are_explained_with_what_would_provide_them(reported: tuple[Workspace, Page, Path]) -> None:
    _, page, _ = reported
    for words in ("No colour-magnitude diagram", "No check against seeing", "--keep", "There is no certificate"):
        assert words in page.said
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+", "", page.said.lower())


def test_the_same_catalogue_gives_the_same_report(reported: tuple[Workspace, Page, Path], tmp_path: Path) -> None:
    workspace, page, _ = reported
    report(workspace, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page.text


def test_a_report_of_an_earlier_round_shows_nothing_of_later_rounds(
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


def test_a_report_of_a_fresh_workspace_says_what_to_do(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ws")
    page = page_of(report(workspace).file)
    assert page.sections == ["glance", "provenance"] and not page.pictures
    assert "catbuilder ingest images" in page.said
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 4))
    assert "run one with: catbuilder round" in page_of(report(workspace).file).said


def test_missing_stamps_features_magnitudes_and_positions_are_each_explained(tmp_path: Path) -> None:
    workspace = surveyed(tmp_path / "ws")
    with workspace.recording("no positions") as recording:
        recording.con.execute("UPDATE objects SET ra = NULL, dec = NULL, healpix = NULL")
    outcome = report(workspace)
    page = page_of(outcome.file)
    assert page.sections == SECTIONS
    for words in ("No t-SNE", "No sky map", "No mosaic of round 2", "No check", "No shift is measured"):
        assert any(sentence.startswith(words) for sentence in outcome.missing), words


def test_ten_classes_with_all_archive_columns(tmp_path: Path) -> None:
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
    page = page_of(report(workspace).file)
    drawn = {name.removeprefix("figure-") for name in page.ids}
    assert {"confusion", "roc", "size-magnitude", "axis-ratio", "conditions", "tiles", "sky"} <= drawn
    assert all(name in page.said for name in names)
    assert "Area under the ROC curve of each class" in page.said and "Flatter than 0.3" in page.said
    for words in ("A_IMAGE and B_IMAGE", "seeing (psf_fwhm_i, arcsec)", "depth (exposures in r)", "tile of the survey"):
        assert words in page.said


def test_test_galaxies_that_were_trained_on_are_left_out(tmp_path: Path) -> None:
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
    page = page_of(report(workspace).file)
    assert "after round 2 and round 3" in page.said and "100.0% of all 20" in page.text
    assert "Round 2" in page.said and "Round 1" not in page.said
    assert page.said.count("2 test galaxies are left out here") == 2
    assert page.said.count("Warning: a round has trained on 2 of these test galaxies") == 3
    data = read_report_data(workspace)
    assert [scores.num_rows for scores in data.test_scores.values()] == [18, 18]


def test_text_of_the_catalogue_is_escaped_in_the_page(tmp_path: Path) -> None:
    workspace = surveyed(tmp_path / "ws")
    with workspace.recording("<script>alert(1)</script>") as recording:
        recording.con.execute("SELECT 1")
    close_round(workspace, {("des", n): (0.9, 0.1) for n in range(1, 11)})
    assert "<script>alert(1)</script>" in page_of(report(workspace).file).said


# --- refusals


def test_refused_reports_print_one_sentence_and_leave_no_file(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "ws")
    there = tmp_path / "there"
    there.write_text("mine")
    failed(cli("-w", workspace.path, "report", tmp_path / "report.pdf"), "end it in .html")
    failed(cli("-w", workspace.path, "report", tmp_path / "none" / "report.html"), "there is no folder")
    failed(cli("-w", workspace.path, "report", "--figures", there), "is a file")
    failed(cli("-w", workspace.path, "report", "--at", 3), "no round 3")
    assert there.read_text() == "mine" and not list(tmp_path.glob("report*"))


# --- the numbers behind the figures


def test_the_sample_of_a_large_catalogue_is_reproducible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = create_workspace(tmp_path / "ws")
    with workspace.recording("objects") as recording:
        add_objects(recording, "des", range(1, 2001))
    close_round(workspace, {("des", n): (0.9, 0.1) for n in range(1, 2001)})
    monkeypatch.setattr("catbuilder.reports.data.SAMPLE", 100)
    first, second = (read_report_data(workspace) for _ in range(2))
    assert first.scored == 2000 and 50 < first.sample.num_rows <= 100
    assert first.sample.equals(second.sample)


def test_a_footprint_across_zero_right_ascension_is_not_split() -> None:
    middle, width = _extent(np.array([350.0, 355.0, 5.0, 10.0]))
    assert (middle % 360, width) == (0, 20)


def test_mixing_is_one_for_equal_groups_and_zero_for_separate_groups() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200, 8)).astype(np.float32)
    assert _mixing(a, b) == pytest.approx(1, abs=0.1)
    assert _mixing(a, b + 20) == 0


def test_differences_of_shares_between_groups_are_tested_against_chance() -> None:
    names = np.array(["spiral", "elliptical"] * 200, dtype=object)
    assert difference_p_value(np.arange(400) // 2 % 4, names) == pytest.approx(1)
    assert difference_p_value(np.arange(400) % 2, names) < 1e-9
    assert difference_p_value(np.zeros(400), names) is None
    assert "no significant difference" in describe_difference(
        0.02
    ) and "differ more than chance" in describe_difference(0.002)


def test_a_mosaic_shows_each_galaxy_once_and_fits_a_page() -> None:
    def picks(name: str, n: int) -> list[dict[str, Any]]:
        ids = [100 * ord(name[0]) + i for i in range(n)]
        parts = (("surest", ids[:8]), ("least sure", ids[::-1][:8]))
        return [{"part": part, "label": name, "survey": "des", "object_id": number, "confidence": 0.9}
                for part, numbers in parts for number in numbers]  # fmt: skip

    two = list(_blocks(picks("elliptical", 10) + picks("spiral", 5), ("elliptical", "spiral")))
    assert [(block.title, len(block.members)) for block in two] == [
        ("elliptical, most confident", 8), ("elliptical, least confident", 2), ("spiral, most confident", 5)
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


def test_healpix_cells_replace_missing_tiles_and_hold_enough_objects(reported: tuple[Workspace, Page, Path]) -> None:
    data = read_report_data(reported[0])
    what, tiles = _tiles(data.of_target(), {})
    assert "HEALPix" in what and np.unique(tiles.astype(str), return_counts=True)[1].max() >= 20
