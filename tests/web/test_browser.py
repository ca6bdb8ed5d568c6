"""The pages in a real browser: by keyboard alone, in light and dark, without console errors, accessible by axe.

Each test has a server of its own on a copy of the workspace, so they pass in any order.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from support.command_line import wait_for
from support.forked_processes import ForkedServer
from support.served_survey import POOL, Served, build_served, start_serving, stop_serving
from support.workspaces import RECIPE, add_events, label_event

from catbuilder.active_learning.agreement import annotator_agreement
from catbuilder.active_learning.review import read_questions, start_question_list
from catbuilder.catalogue.round_records import training_manifest_file
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import exclusive_lock
from catbuilder.core.progress import Reporter
from catbuilder.inspection.why import why
from catbuilder.network.worker import EventLog
from catbuilder.rounds.planning import make_plan

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
expect.set_options(timeout=60_000)  # a machine with other work takes its time

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; on Debian: apt-get install chromium")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that the tests copy."""
    return build_served(tmp_path_factory.mktemp("built")).path


@pytest.fixture
def served(built: Path, tmp_path: Path) -> Iterator[Served]:
    running = start_serving(Workspace.open(shutil.copytree(built, tmp_path / "ws")), kind=ForkedServer)
    yield running
    assert "Traceback" not in stop_serving(running)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(served: Served, chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that has opened the printed address."""
    context = chromium.new_context(base_url=served.origin, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(served.address)
    assert "token" not in page.url
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    """A new page; the test fails if the console shows an error or a warning."""
    page, errors = visitor.new_page(), []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(80):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {selector}")


def make_list(page: Page, annotator: str, n: int) -> None:
    """Go from the first page to a new list of questions, by keyboard."""
    page.goto("/")
    tab_to(page, "nav a[href='/review']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Review")).to_be_visible()
    tab_to(page, "#strategy")
    page.keyboard.type("random")
    tab_to(page, "#n")
    page.keyboard.press("Control+A")
    page.keyboard.type(str(n))
    tab_to(page, "#new-annotator")
    page.keyboard.type(annotator)
    page.keyboard.press("Enter")
    page.wait_for_url("**/review/list?**")


def test_a_filter_leads_to_the_page_of_an_object(page):
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first stop skips the navigation"
    tab_to(page, "#f-predicted")
    page.keyboard.type("spiral")
    tab_to(page, "#f-least")
    page.keyboard.type("0.9")
    page.keyboard.press("Enter")
    page.wait_for_url("**predicted=spiral**")
    predicted = page.locator("table.objects tbody tr td:nth-child(5)").all_inner_texts()
    assert predicted and set(predicted) == {"spiral"}
    tab_to(page, f"a[href='/objects/des/{POOL + 1}']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"des {POOL + 1}")
    expect(page.get_by_text("top_k: 1 of the 1 surest")).to_be_visible()
    expect(page.locator("#similar li")).to_have_count(9)
    wait_for(lambda: page.evaluate("[...document.images].every(image => image.complete)"))
    own = page.evaluate("[...document.querySelectorAll('figure img')].map(image => image.naturalWidth)")
    assert own == [32, 32], "in both surveys"
    assert page.evaluate("getComputedStyle(document.images[0]).imageRendering") == "pixelated"


def test_answers_by_keyboard_become_labels_and_train_the_next_round(page, served):
    make_list(page, "vera", 24)
    said = page.locator("#said")
    shown: list[str] = []
    for i in range(20):
        image = page.locator("#stamps li img")
        expect(image).to_have_count(1)
        shown.append(re.sub(r"\D", "", image.get_attribute("alt")))
        assert not re.search(r"0\.\d|network predicted", page.locator("#stamps").inner_text()), "the guess is hidden"
        page.keyboard.press("u" if i == 19 else "es"[i % 2])
    expect(page.locator("#given")).to_have_text("20")
    expect(said).to_contain_text("recorded. The network predicted")
    page.keyboard.press("z")  # takes the unsure one back, and shows it again
    expect(said).to_contain_text("not sure is undone")
    page.keyboard.press("Backspace")  # and the one before
    expect(said).to_contain_text("elliptical is undone")
    expect(page.locator("#given")).to_have_text("18")
    assert shown[18] in page.locator("#stamps li img").get_attribute("alt")
    page.keyboard.press("e")
    expect(said).to_contain_text("elliptical, recorded")
    assert len(set(shown)) == 20

    expected = {int(n): ("elliptical", "spiral")[i % 2] for i, n in enumerate(shown[:18])} | {
        int(shown[18]): "elliptical"
    }
    for object_id, label in expected.items():
        story = why(served.workspace, str(object_id))
        assert (story.now["label"], story.now["source"]) == (label, "human")
        assert any(f"{label} from human (vera)" in detail for _, _, detail in story.events)
    undone = why(served.workspace, shown[18])
    assert [what for _, what, _ in undone.events if what.startswith("label")] == ["label", "label retracted", "label"]

    plan = make_plan(served.workspace, RECIPE, 1, 0, Reporter(quiet=True), until=2)
    manifest = pq.read_table(training_manifest_file(served.workspace, plan.round)).to_pylist()
    trained = {row["object_id"]: plan.classes[row["label"]] for row in manifest if row["survey"] == "des"}
    assert {n: trained.get(n) for n in expected} == expected, "the next round trains or validates on every answer"


def test_answers_in_the_grid_are_compared_with_another_annotator(page, served):
    name = start_question_list(served.workspace, "random", 24)
    asked = read_questions(served.workspace, name, "vera")
    with served.workspace.recording("vera's answers") as recording:
        labels = zip(asked, ("elliptical", "spiral") * 12, strict=True)
        said = [label_event(one.survey, one.object_id, label, "human", annotator="vera") for one, label in labels]
        add_events(recording, *said)
    page.goto(f"/review/list?list={name}&annotator=edwin&view=grid")
    expect(page.locator("#stamps li")).to_have_count(24)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.locator("#stamps li").nth(1).get_attribute("aria-current") == "true"
    second = page.locator("#stamps li img").nth(1).get_attribute("alt")
    page.keyboard.press("1")  # the first class
    expect(page.locator("#said")).to_contain_text("elliptical, recorded")
    assert page.locator("#said").inner_text().split(":")[0] in second
    page.keyboard.press("ArrowLeft")
    for key in "esese":
        page.keyboard.press(key)
    expect(page.locator("#given")).to_have_text("6")
    expect(page.locator("#stamps li")).to_have_count(18)
    wait_for(
        lambda: sum(one.answer is not None for one in read_questions(served.workspace, name, "edwin")) == 6, every_s=0.2
    )
    (pair,) = annotator_agreement(served.workspace).to_pylist()
    page.goto("/review")
    row = page.locator("section tbody tr")
    expect(row).to_contain_text("edwin and vera")
    expect(row).to_contain_text(f"{pair['kappa']:.3f}")


def test_buttons_answer_and_the_end_of_a_list_is_shown(page, served):
    name = start_question_list(served.workspace, "random", 5)
    asked = read_questions(served.workspace, name, "mona")
    with served.workspace.recording("mona's other answers") as recording:
        said = [label_event(one.survey, one.object_id, "spiral", "human", annotator="mona") for one in asked[2:]]
        add_events(recording, *said)
    page.goto(f"/review/list?list={name}&annotator=mona&guess=never")
    page.get_by_role("button", name="spiral").click()
    expect(page.locator("#said")).to_contain_text("spiral, recorded")
    assert "network" not in page.locator("#said").inner_text()
    page.get_by_role("button", name="not sure").click()
    expect(page.locator("#done")).to_be_visible()
    expect(page.get_by_role("button", name="spiral")).to_be_disabled()
    page.get_by_role("button", name="undo").click()
    expect(page.locator("#stamps li img")).to_have_count(1)


def test_a_galaxy_whose_answer_was_refused_comes_back(visitor, served):
    page = visitor.new_page()  # the browser itself tells the console of the refusal
    name = start_question_list(served.workspace, "random", 5)
    cut_off = True
    # before the page is loaded: the requests of a page that is there already may pass a new route by
    page.route("**/review/answers", lambda route: route.abort() if cut_off else route.continue_())
    page.goto(f"/review/list?list={name}&annotator=zoe")
    image = page.locator("#stamps li img")
    first = image.get_attribute("alt")
    page.keyboard.press("s")
    expect(page.locator("#trouble")).to_be_visible()
    assert image.get_attribute("alt") == first
    cut_off = False
    page.keyboard.press("s")
    expect(page.locator("#said")).to_contain_text("spiral, recorded")
    expect(page.locator("#trouble")).to_be_hidden()

    cut_off = True
    second = image.get_attribute("alt")
    pressed = "new KeyboardEvent('keydown', {key, bubbles: true})"
    page.evaluate(f"for (const key of 'ez') document.body.dispatchEvent({pressed})")  # undone before it is refused
    expect(page.locator("#trouble")).to_contain_text("nothing was undone")
    assert image.get_attribute("alt") == second
    assert [one.answer for one in read_questions(served.workspace, name, "zoe") if one.answer] == ["spiral"]
    page.close()


def test_sql_by_keyboard(page):
    page.goto("/sql")
    tab_to(page, "[data-sql]")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    expect(page.locator("main table").first).to_contain_text("des")
    assert page.evaluate("document.querySelector('#text').value").startswith("SELECT survey, label")


def test_a_running_training_is_shown_live(page, served):
    plan = make_plan(served.workspace, RECIPE, 1, 0, Reporter(quiet=True), until=2)
    page.goto("/rounds")
    folder = served.workspace.round_folder(plan.round) / "attempts" / "train-01"
    with exclusive_lock(served.workspace.path / "round.lock", "a round"):
        log = EventLog(folder / "train.jsonl")
        step = {"epochs": 3, "steps": 10, "loss": 0.5, "images_per_second": 123.0}
        log.write("step", epoch=0, step=4, **step)
        expect(page.get_by_role("heading", name="Round 2 is training")).to_be_visible()
        expect(page.locator("#live")).to_contain_text("4 of 30 steps at most, 123 images/s, loss 0.5000")
        for epoch in range(2):
            log.write("epoch", epochs=3, epoch=epoch, loss=0.6 - epoch / 10, validation_loss=0.7 - epoch / 10)
        log.write("step", epoch=2, step=1, **step)
        expect(page.locator("#live")).to_contain_text("21 of 30")
        expect(page.locator("polyline.validation")).to_have_count(1)
        assert page.locator(".plot .ends").all_inner_texts() == ["0.700\nloss\n0.500", "1\nepoch\n2"]
        page.reload()  # within the page's own time: a round that trains keeps no page waiting
    expect(page.get_by_role("heading", name="Round 2 is planned, not closed")).to_be_visible()


def test_pages_are_accessible_by_axe_in_light_and_dark(page, served):
    name = start_question_list(served.workspace, "random", 24)
    paths = ["/?predicted=spiral&at=1", "/?domain=star", f"/objects/des/{POOL + 1}", "/review", "/rounds", "/sql"]
    for path in [*paths, *(f"/review/list?list={name}&annotator=pat&view={view}" for view in ("one", "grid"))]:
        page.goto(path, wait_until="load" if path in paths else "networkidle")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page).response["violations"]
            told = [(v["id"], v["impact"], [node["html"] for node in v["nodes"]][:3]) for v in found]
            assert told == [], f"{path} in {scheme}"
