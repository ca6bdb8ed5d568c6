"""The pages, asked over HTTP from a real server: what they show, and whom they refuse."""

import fcntl
import html
import io
import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore

import httpx
import numpy as np
import pytest
from astropy.table import Table
from PIL import Image
from support.command_line import CommandLine
from support.contents import rows
from support.forked_processes import ForkedServer
from support.new_workspace import create_workspace
from support.served_survey import (
    HP,
    N_HP,
    N_POOL,
    N_TRAIN,
    POOL,
    TRAIN,
    Served,
    build_served,
    start_serving,
    stop_serving,
)
from support.workspaces import add_events, add_objects, cli, galaxy, label_event

from catbuilder.active_learning.agreement import annotator_agreement
from catbuilder.active_learning.review import (
    answer_keys,
    is_blind,
    list_question_lists,
    read_predictions,
    read_questions,
    record_answer,
    start_question_list,
    undo_answer,
)
from catbuilder.active_learning.select_objects import select_objects
from catbuilder.catalogue.round_records import NOW
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError, ObjectNotFound, OtherAnswer, WorkerDied, WorkspaceBusy
from catbuilder.inspection.browse import CatalogueFilter, read_page
from catbuilder.inspection.check import check
from catbuilder.inspection.why import why
from catbuilder.web.child_process import in_own_process, limited_slot
from catbuilder.web.downloads import remove_leftovers
from catbuilder.web.guard import Session


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The survey, before anybody has answered anything; copy it, do not change it."""
    return build_served(tmp_path_factory.mktemp("served")).path


@pytest.fixture(scope="module")
def served(built: Path, copy_of):
    running = start_serving(Workspace.open(copy_of(built)))
    yield running
    assert "Traceback" not in stop_serving(running)


@pytest.fixture(scope="module")
def browser(served: Served):
    with served.client() as client:
        yield client


@pytest.fixture
def unanswered(built: Path) -> Workspace:
    """The survey itself, to be read alone."""
    return Workspace.open(built)


@pytest.fixture
def workspace(built: Path, copy_of) -> Workspace:
    return Workspace.open(copy_of(built))


# --- who is let in


def test_without_the_key_nothing_of_the_catalogue_is_shown(served):
    for path in (
        "/",
        "/objects/des/310700000",
        "/stamps/des/310700000.png",
        "/sql",
        "/download/csv",
        "/review/questions",
    ):
        answered = httpx.get(served.origin + path)
        assert answered.status_code == 403 and "catbuilder serve" in answered.text, path
    assert httpx.get(f"{served.origin}/?token=wrong").status_code == 403
    assert httpx.get(f"{served.origin}/static/page.css").status_code == 200


def test_the_key_is_exchanged_for_a_cookie_that_scripts_and_other_sites_do_not_get(served):
    answered = httpx.get(served.address, follow_redirects=False)
    assert answered.status_code == 303 and answered.headers["location"] == "/"
    cookie = answered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    token = served.address.partition("token=")[2]
    assert token not in cookie, "the cookie is another secret"


def test_invalid_cookies_of_other_servers_of_this_host_are_ignored(served, browser):
    name, value = next(iter(browser.cookies.items()))
    odd = f'_xsrf=2|a; prefs={{"a": "b c"}}; =; x; {name}={value}'
    assert httpx.get(f"{served.origin}/sql", headers={"Cookie": odd}).status_code == 200
    assert httpx.get(f"{served.origin}/sql", headers={"Cookie": f"{name}={value}x"}).status_code == 403


def test_the_token_of_a_started_browser_is_valid_once_and_expires():
    session = Session(8765)
    token = session.one_time_token()
    assert token != session.token and not session.accepts_token("token=") and session.accepts_token(f"token={token}")
    assert not session.accepts_token(f"token={token}") and not session.accepts_token("token=")
    assert not session.accepts_token(f"token={session.one_time_token(seconds=0)}")
    assert session.accepts_token(f"token={session.token}") and session.accepts_token(f"token={session.token}")


def test_the_browser_is_not_started_with_the_printed_token(tmp_path, monkeypatch):
    script, opened = tmp_path / "browser", tmp_path / "opened"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{script} %s")
    served = start_serving(create_workspace(tmp_path / "ws"), browser=True, kind=ForkedServer)
    try:
        assert httpx.get(served.address).status_code == 303, "it listens, so the browser has been started"
        address = opened.read_text()
        assert address.startswith(f"{served.origin}/?token=") and address != served.address
        assert [httpx.get(address).status_code for _ in range(2)] == [303, 403]
    finally:
        stop_serving(served)


def test_a_path_with_two_slashes_is_not_redirected_to_another_host(served):
    token = served.address.partition("token=")[2]
    answered = httpx.get(f"{served.origin}//evil.example/?token={token}&ra=1", follow_redirects=False)
    assert answered.headers["location"] == "/evil.example/?ra=1"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil:1"])
def test_a_host_name_other_than_the_loopback_is_refused(browser, host):
    answered = browser.get("/", headers={"Host": host})
    assert answered.status_code == 421


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_a_post_from_another_origin_is_refused(served, browser, origin):
    before = rows(served.workspace, "SELECT count(*) FROM labels")
    body = {"list": "random-1", "annotator": "mallory", "survey": "des", "object_id": str(POOL), "answer": "spiral"}
    request = browser.build_request("POST", "/review/answers", json=body)
    request.headers.pop("origin")
    if origin is not None:
        request.headers["origin"] = origin
    assert browser.send(request).status_code == 403
    assert rows(served.workspace, "SELECT count(*) FROM labels") == before


def test_get_requests_write_nothing(browser):
    for path in ("/review/answers", "/review/undo", "/review/lists"):
        assert browser.get(path).status_code in (404, 405)


def test_a_body_that_is_too_large_is_refused(browser):
    assert browser.post("/sql", data={"text": "x" * 1_200_000}).status_code == 413


@pytest.mark.parametrize(
    "path", ["/static/../guard.py", "/static/%2e%2e/guard.py", "/static/..%2fguard.py", "/stamps/..%2f..%2fetc/1.png",
             "/stamps/des/../../catalog.duckdb", "/objects/..%2f/1", "/download/..%2fx"],
)  # fmt: skip
def test_paths_cannot_leave_the_static_folder(served, browser, path):
    # httpx would tidy the path up; a socket does not
    name, value = next(iter(browser.cookies.items()))
    with socket.create_connection(("127.0.0.1", int(served.origin.rpartition(":")[2]))) as raw:
        lines = [f"GET {path} HTTP/1.1", f"Host: {served.origin[7:]}", f"Cookie: {name}={value}", "Connection: close"]
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        answered = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answered.split()[1] in (b"400", b"404"), answered[:200]
    assert b"def " not in answered


def test_every_response_forbids_foreign_scripts_frames_and_caching(browser):
    for path in ("/", "/review", "/rounds", "/sql", "/nowhere", f"/objects/des/{POOL}"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_text_of_files_and_addresses_is_escaped(served, browser):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    for path, field in (("/", "ra"), ("/", "survey"), ("/", "after"), ("/find", "id"), ("/review", "annotator"),
                        ("/review/list", "list"), ("/objects/des/" + evil.replace("/", "%2f"), "x")):  # fmt: skip
        text = browser.get(path, params={field: evil, "annotator": evil}).text
        assert "<script>alert" not in text and "<img src=x" not in text, path
    text = browser.post("/sql", data={"text": f"SELECT '{evil.replace(chr(39), '')}' AS \"<b>x\""}).text
    assert "<script>alert" not in text and "<b>x" not in text and "&lt;b&gt;x" in text


# --- browsing


def objects_of(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'<th scope="row"><a href="/objects/[a-z]+/(\d+)"', text)]


def test_pages_of_the_catalogue_have_no_gaps_or_repeats(unanswered):
    everything = rows(unanswered, "SELECT survey, object_id FROM catalog ORDER BY ALL")
    seen, after = [], None
    while True:
        one = read_page(unanswered, CatalogueFilter(), after, n=7)
        seen += [(row["survey"], row["object_id"]) for row in one.rows]
        if one.further is None:
            break
        after = one.further
    assert seen == everything and len(seen) == N_TRAIN + 5 + N_HP + N_POOL


@pytest.mark.parametrize(
    "given",
    [
        {"survey": "sdss"}, {"label": "spiral"}, {"label": "none"}, {"source": "promoted"}, {"predicted": "spiral"},
        {"least": 0.8, "most": 0.95}, {"domain": "in", "predicted": "elliptical", "least": 0.9}, {"label_round": 1},
        {"at": 1, "label": "elliptical"}, {"ra": 110, "dec": 32, "radius": 200}, {"ra": 0.1, "dec": 89, "radius": 300},
        {"ra": "6:40:00", "dec": "32:00:00", "radius": "1"}, {"brightest": 10, "faintest": 20},
        {"survey": "o'brien"}, {"label": "' OR 1=1 --"},
    ],
)  # fmt: skip
def test_a_filter_agrees_with_its_sql_condition_for_any_page_size(unanswered, given):
    wanted = CatalogueFilter.model_validate(given)
    at = NOW if wanted.at is None else wanted.at
    text = f"SELECT survey, object_id FROM catalog_at({at}) WHERE {wanted.where()} ORDER BY ALL"
    expected = rows(unanswered, text)
    found, after, page = [], None, max(3, len(expected) // 4)
    while True:
        one = read_page(unanswered, wanted, after, page)
        found += [(row["survey"], row["object_id"]) for row in one.rows]
        if one.further is None:
            break
        after = one.further
    assert found == expected
    assert expected or given.keys() & {"brightest", "survey", "label", "at", "dec"}


def test_a_cone_is_round_on_the_sky(unanswered):
    found = read_page(unanswered, CatalogueFilter(ra=105.0, dec=32.0, radius=61.0)).rows
    ras = sorted({row["ra"] for row in found})
    assert ras == [104.0, 105.0, 106.0], "a degree of right ascension is 50.9 arcmin there"


def test_a_slow_search_stops_and_says_how_far_it_got(unanswered):
    one = read_page(unanswered, CatalogueFilter(domain="artefact"), n=5, look_s=0.0)
    assert one.out_of_time and one.rows == [] and one.further is not None
    assert read_page(unanswered, CatalogueFilter(domain="artefact"), n=5).further is None


def test_the_catalogue_can_be_filtered_and_counted(browser):
    text = browser.get("/", params={"predicted": "spiral", "least": "0.5", "survey": "des", "count": "1"}).text
    assert sorted(objects_of(text)) == [HP + 1, HP + 3, *(POOL + i for i in range(1, N_POOL, 2))]
    assert "22 objects meet the filter" in text and "catbuilder export OUT.fits" in text
    assert 'value="spiral" selected' in text
    none = browser.get("/", params={"brightest": "5", "faintest": "6"}).text
    assert "No object meets this filter" in none and "Count them all" not in none and "/download/" not in none


def test_an_invalid_field_is_explained_in_a_sentence(browser):
    for given, words in (({"least": "2"}, "least"), ({"ra": "1", "dec": "2"}, "radius"), ({"ra": "x"}, "ra"),
                         ({"after": "des:x"}, "first page"),
                         ({"after": f"des:{2**63 - 1}"}, "first page"),
                         ({"at": "7"}, "there is no round 7")):  # fmt: skip
        answered = browser.get("/", params=given)
        assert answered.status_code == 400 and words in answered.text.lower(), given


def test_an_objects_page_shows_its_events_and_both_stamps(browser):
    text = browser.get(f"/objects/des/{POOL + 1}").text
    assert f"/stamps/des/{POOL + 1}.png" in text and f"/stamps/sdss/{TRAIN + 51}.png" in text
    assert "matched with sdss" in text and "top_k: 1 of the 1 surest" in text and "event" in text
    assert browser.get("/find", params={"id": str(POOL + 1)}).url.path == f"/objects/des/{POOL + 1}"
    missing = browser.get("/find", params={"id": "5"})
    assert missing.status_code == 404 and "no object 5 is in the catalogue" in missing.text.lower()


def test_similar_objects_are_shown_nearest_first(browser):
    text = browser.get(f"/objects/des/{POOL + 5}/similar").text
    found = [int(number) for number in re.findall(r'<li><a href="/objects/des/(\d+)"', text)]
    assert len(found) == 9 and set(found[:2]) == {POOL + 4, POOL + 6} and found[-1] == POOL
    assert text.count("<img") == 9 and "distance 0.00" in text and "<html" not in text


def test_a_stamp_is_the_stored_pixels(served, browser):
    answered = browser.get(f"/stamps/des/{POOL + 3}.png")
    shown = np.asarray(Image.open(io.BytesIO(answered.content)))
    assert answered.headers["content-type"] == "image/png" and np.array_equal(shown, galaxy(403))
    assert browser.get("/stamps/des/5.png").status_code == 404


@pytest.mark.parametrize("kind", ["fits", "vot", "csv", "parquet"])
def test_filtered_objects_can_be_downloaded(served, browser, tmp_path, kind):
    answered = browser.get(f"/download/{kind}", params={"predicted": "spiral", "least": "0.5"})
    assert answered.status_code == 200 and f"catalogue.{kind}" in answered.headers["content-disposition"]
    assert len(answered.content) == int(answered.headers["content-length"])
    file = tmp_path / f"got.{kind}"
    file.write_bytes(answered.content)
    formats = {"vot": "votable", "csv": "ascii.csv", "parquet": "parquet"}
    if kind == "parquet":
        import pyarrow.parquet as pq

        n = pq.read_table(file).num_rows
    else:
        n = len(Table.read(file, format=formats.get(kind, kind)))
    assert n == 22
    assert not list(served.workspace.path.glob(".download-*")), "nothing is left behind"
    assert browser.get("/download/exe").status_code == 400


def test_only_download_folders_of_killed_servers_are_removed(tmp_path):
    workspace = create_workspace(tmp_path / "ws")
    left, held = workspace.path / ".download-left", workspace.path / ".download-held"
    for folder in (left, held):
        folder.mkdir()
        (folder / "catalogue.fits").write_bytes(b"half")
    descriptor = os.open(held, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    remove_leftovers(workspace)
    assert not left.exists() and (held / "catalogue.fits").exists()
    os.close(descriptor)
    remove_leftovers(workspace)
    assert not held.exists()


# --- SQL


def test_the_sql_page_is_read_only(served, browser):
    text = browser.post(
        "/sql", data={"text": "SELECT survey, count(*) AS n FROM catalog GROUP BY ALL ORDER BY ALL"}
    ).text
    assert f'<td>des</td><td class="n">{N_HP + N_POOL}</td>' in text
    for query, words in (("DELETE FROM labels", "Only SELECT"), ("SELECT * FROM read_csv('/etc/passwd')", "failed"),
                         ("SELEC 1", "not valid SQL"), ("SELECT 1; SELECT 2", "2 statements were")):  # fmt: skip
        answered = browser.post("/sql", data={"text": query})
        assert answered.status_code == 400 and words in answered.text, query
    more = browser.post("/sql", data={"text": f"SELECT range AS x, {TRAIN} AS x FROM range(1000000)"}).text
    assert "500 rows (there are more)" in more and more.count("<tr>") == 501 and "x_1" in more
    assert more.count(str(TRAIN)) >= 500, "ids keep their digits"


def test_the_sql_page_cuts_long_values(browser):
    for query, words in (
        (f"SELECT {'repeat(chr(120), 1000), ' * 20} FROM range(600)", "larger than 8 MB"),
        ("SELECT " + "1," * 1100, "1,100 columns, more than 1,000"),
    ):
        answered = browser.post("/sql", data={"text": query})
        assert answered.status_code == 400 and words in answered.text and len(answered.content) < 100_000, query
    long = "SELECT range(1500000), [range(200000)], repeat('x', 1000000), repeat('x', 1000000)::BLOB"
    answered = browser.post("/sql", data={"text": long})
    assert answered.text.count(" ...</td>") == 4 and len(answered.content) < 100_000


def test_the_sql_page_shows_values_of_every_type(browser):
    values = {
        "'infinity'::timestamp": "infinity", "DATE '20000-01-01'": "20000-01-01", "NULL": "\N{EN DASH}",
        "{'a': [1, NULL], 'b': 'x'}": "{'a': [1, NULL], 'b': x}", "MAP {'k': 2}": "{k=2}",
        "[DATE '20000-01-01']": "[20000-01-01]", "union_value(n := 5)": "5", "[]": "[]", "[[1], [2]]": "[[1], [2]]",
        "'x'::ENUM('x', 'y')": "x", "0.5::DECIMAL(4, 2)": "0.50", "true": "true", "'<'::BLOB": "<",
        "[1, 2]::INTEGER[2]": "[1, 2]", "INTERVAL 3 DAY": "3 days", "'{}'::JSON": "{}",
    }  # fmt: skip
    answered = browser.post("/sql", data={"text": f"SELECT {', '.join(values)}"})
    shown = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", answered.text)]
    assert [words for words, cell in zip(values.values(), shown, strict=True) if words not in cell] == []


# --- review, by the library


def labels_of(workspace: Workspace, object_id: int) -> list[tuple]:
    return rows(
        workspace, "SELECT kind, label, annotator, source FROM labels WHERE object_id = ? ORDER BY event", [object_id]
    )


def test_answers_become_events_at_once_and_undo_retracts_them(workspace):
    name = start_question_list(workspace, "random", 10)
    asked = read_questions(workspace, name, "vera")
    assert len(asked) == 10 and all(one.answer is None and one.shard for one in asked)
    first, second, third = (one.object_id for one in asked[:3])
    assert record_answer(workspace, name, "vera", "des", first, "spiral").recorded == 1
    assert record_answer(workspace, name, " vera ", "des", first, "spiral").recorded == 0, "she has said so"
    unsure = record_answer(workspace, name, "vera", "des", second, "unsure")
    assert unsure.recorded == 1 and unsure.predicted_label in ("elliptical", "spiral")
    record_answer(workspace, name, "vera", "des", third, "elliptical")
    said = {one.object_id: one.answer for one in read_questions(workspace, name, "vera") if one.answer}
    assert said == {first: "spiral", second: "unsure", third: "elliptical"}
    assert not any(one.answer for one in read_questions(workspace, name, "edwin")), "each annotator is asked about all"

    undone = undo_answer(workspace, name, "vera")
    assert undone is not None and (undone.object_id, undone.answer) == (third, "elliptical")
    assert labels_of(workspace, third) == [
        ("label", "elliptical", "vera", "human"), ("retraction", "elliptical", "vera", "human"),
    ]  # fmt: skip
    assert why(workspace, str(third)).now["label"] is None
    assert undo_answer(workspace, name, "vera").answer == "unsure"
    assert undo_answer(workspace, name, "vera").answer == "spiral"
    assert undo_answer(workspace, name, "vera") is None and undo_answer(workspace, name, "edwin") is None
    assert not any(one.answer for one in read_questions(workspace, name, "vera"))
    assert [f.check for f in check(workspace) if f.count and f.check not in ("models", "scores")] == []


def test_answering_not_sure_later_retracts_the_label(workspace):
    name = start_question_list(workspace, "random", 3)
    one = read_questions(workspace, name, "vera")[0].object_id
    record_answer(workspace, name, "vera", "des", one, "spiral")
    record_answer(workspace, name, "vera", "des", one, "unsure")
    assert [row[:2] for row in labels_of(workspace, one)] == [
        ("label", "spiral"), ("unsure", None), ("retraction", "spiral"),
    ]  # fmt: skip
    story = why(workspace, str(one))
    assert story.now["label"] is None
    assert any(what == "looked at" and "not sure from human (vera)" in detail for _, what, detail in story.events)
    record_answer(workspace, name, "vera", "des", one, "elliptical")
    assert why(workspace, str(one)).now["label"] == "elliptical"


def test_lists_show_how_many_are_answered(workspace):
    assert list_question_lists(workspace) == []
    name = start_question_list(workspace, "random", 5)
    for one in read_questions(workspace, name, "vera")[:2]:
        record_answer(workspace, name, "vera", "des", one.object_id, "spiral")
    (only,) = list_question_lists(workspace)
    assert (only.name, only.strategy, only.objects, only.answered) == (name, "random", 5, 2)


def test_an_answer_that_cannot_be_recorded_is_refused(workspace):
    name = start_question_list(workspace, "random", 3)
    one = read_questions(workspace, name, "vera")[0].object_id
    for arguments, kind in (
        ((name, "vera", "des", one, "lenticular"), InputError), ((name, " ", "des", one, "spiral"), InputError),
        ((name, "v\x1b[2J", "des", one, "spiral"), InputError), ((name, "v" * 61, "des", one, "spiral"), InputError),
        (("random-9999", "vera", "des", one, "spiral"), InputError),
        (("x'; --", "vera", "des", one, "spiral"), InputError),
        ((name, "vera", "des", HP, "spiral"), ObjectNotFound),
    ):  # fmt: skip
        with pytest.raises(kind):
            record_answer(workspace, *arguments)
    assert rows(workspace, "SELECT count(*) FROM labels WHERE source = 'human'") == [(0,)]


def test_keys_are_first_letters_where_they_are_free():
    assert answer_keys(("elliptical", "spiral")) == {"elliptical": "e", "spiral": "s"}
    assert answer_keys(("elliptical", "edge_on", "uz")) == {"elliptical": "e", "edge_on": "d", "uz": "3"}
    many = answer_keys(tuple(f"c{i}" for i in range(12)))
    assert many["c0"] == "c" and many["c9"] == "0"


def test_review_pages_hide_predictions_until_answered(served, browser):
    before = {one.name for one in list_question_lists(served.workspace)}
    made = browser.post("/review/lists", data={"strategy": "random", "n": "30", "annotator": "vera"})
    assert made.status_code == 200 and made.url.path == "/review/list"
    (name,) = {one.name for one in list_question_lists(served.workspace)} - before
    found = browser.get("/review/questions", params={"list": name, "annotator": "vera"})
    sent = found.json()
    assert sent["total"] == 30 and sent["answered"] == 0 and len(sent["questions"]) == 30
    assert all(isinstance(one["object_id"], str) and one["has_stamp"] for one in sent["questions"])
    for text in (made.text, found.text):
        assert "0.9" not in text and " at " not in text.replace("made at", "")
    assert all(one["guess"] == "" for one in sent["questions"])
    one = sent["questions"][0]
    body = {
        "list": name,
        "annotator": "vera",
        "survey": one["survey"],
        "object_id": one["object_id"],
        "answer": "spiral",
    }
    given = browser.post("/review/answers", json=body).json()
    assert given["recorded"] == 1 and " at 0." in given["guess"]
    unblind = browser.get("/review/questions", params={"list": name, "annotator": "vera", "guess": "before"}).json()
    assert len(unblind["questions"]) == 29 and all(" at 0." in one["guess"] for one in unblind["questions"])
    refused = browser.post("/review/answers", json=body | {"answer": "x"}, headers={"Accept": "application/json"})
    assert refused.status_code == 400 and "is not an answer" in refused.json()["error"]
    meant = {"list": name, "annotator": "vera", "survey": one["survey"]}
    other = browser.post("/review/undo", json=meant | {"object_id": "5"}, headers={"Accept": "application/json"})
    assert other.status_code == 409 and "nothing was undone" in other.json()["error"]
    undone = browser.post("/review/undo", json=meant | {"object_id": one["object_id"]})
    assert undone.json()["undone"]["answer"] == "spiral"


def test_undo_retracts_only_answers_of_the_list_and_the_named_object(workspace):
    name = start_question_list(workspace, "random", 3)
    first, second, third = (one.object_id for one in read_questions(workspace, name, "vera"))
    with workspace.recording("labels import") as recording:
        add_events(recording, label_event("des", first, "spiral", "human", annotator="vera", reason="imported"))
    assert undo_answer(workspace, name, "vera") is None, "an import is no answer of the list"
    record_answer(workspace, name, "vera", "des", second, "spiral")
    with pytest.raises(OtherAnswer, match=f"that of des {second}, another"):
        undo_answer(workspace, name, "vera", ("des", third))
    assert {one.object_id for one in read_questions(workspace, name, "vera") if one.answer} == {first, second}
    assert undo_answer(workspace, name, "vera", ("des", second)).object_id == second
    assert undo_answer(workspace, name, "vera") is None


def test_objects_that_became_test_galaxies_leave_the_list(workspace):
    name = start_question_list(workspace, "random", 4)
    one, other = (one.object_id for one in read_questions(workspace, name, "vera")[:2])
    with workspace.recording("test set") as recording:
        place = [recording.round, recording.run]
        recording.con.execute("INSERT INTO test_sets VALUES ('FO', 'des', ?, 'spiral', 0.9, ?, ?, NULL)", [one, *place])
        recording.con.execute(
            "INSERT INTO exclusions (survey, object_id, rule, test_set, test_survey, test_object_id, "
            "separation_arcsec, similarity, round, run) "
            "SELECT 'des', ?, 'position', 'FO', 'des', ?, 1.0, NULL, ?, ?",
            [other, one, *place],
        )
    left = {one.object_id for one in read_questions(workspace, name, "vera")}
    assert len(left) == 2 and not left & {one, other}
    for object_id in (one, other):
        with pytest.raises(ObjectNotFound, match="has since become a test galaxy"):
            record_answer(workspace, name, "vera", "des", object_id, "spiral")


def draw_for_audit(workspace: Workspace, object_id: int) -> None:
    """A queue as a certified round draws it."""
    with workspace.recording("audit") as recording:
        recording.con.execute(
            "INSERT INTO queue BY NAME SELECT 'audit' AS strategy, 'audit' AS purpose, 'des' AS survey, "
            "? AS object_id, 'r001-spiral' AS certificate, 1 AS place, 1 AS round, ? AS run",
            [object_id, recording.run],
        )


def test_an_audit_stays_blind_for_any_request(workspace):
    draw_for_audit(workspace, POOL + 1)
    served = start_serving(workspace, kind=ForkedServer)
    try:
        with served.client() as client:
            asked = {"list": list_question_lists(workspace)[0].name, "annotator": "vera", "guess": "before"}
            assert asked["list"].startswith("audit-")
            assert client.get("/review/questions", params=asked).json()["questions"][0]["guess"] == ""
            assert client.get("/review/list", params=asked).status_code == 400
    finally:
        stop_serving(served)


def test_calibration_and_audit_objects_are_blind_in_every_list(workspace):
    drawn = {one.object_id for one in read_questions(workspace, start_question_list(workspace, "random", 6), "vera")}
    audited = min(drawn)
    draw_for_audit(workspace, audited)
    guesses = read_predictions(workspace, [("des", object_id) for object_id in drawn])
    assert {object_id for _, object_id in guesses} == drawn - {audited}
    training = next(one.name for one in list_question_lists(workspace) if one.purpose == "training")
    assert record_answer(workspace, training, "vera", "des", audited, "spiral").predicted_label is None
    assert record_answer(workspace, training, "vera", "des", max(drawn), "spiral").predicted_label is not None

    select_objects(workspace, "random", 5, purpose="calibration")
    calibration = next(one.name for one in list_question_lists(workspace) if one.purpose == "calibration")
    assert is_blind(workspace, calibration) and not is_blind(workspace, training)
    asked = read_questions(workspace, calibration, "vera")
    assert len(asked) == 5 and read_predictions(workspace, [(one.survey, one.object_id) for one in asked]) == {}
    done = record_answer(workspace, calibration, "vera", asked[0].survey, asked[0].object_id, "spiral")
    assert (done.recorded, done.predicted_label, done.predicted_confidence) == (1, None, None)
    assert start_question_list(workspace, "random", 4) == training, (
        "a newer list of the strategy is there, and calibrates"
    )


# --- agreement


def test_kappa_is_the_agreement_beyond_chance(tmp_path):
    workspace = create_workspace(tmp_path / "ws")
    said = {"ann": "sssssseeee", "ben": "sssseeeess", "cy": "ss"}
    with workspace.recording("labels") as recording:
        add_objects(recording, "des", range(1, 11))
        events = [
            label_event("des", n, {"s": "spiral", "e": "elliptical"}[letter], "human", annotator=name)
            for name, letters in said.items()
            for n, letter in enumerate(letters, start=1)
        ]
        add_events(recording, *events, label_event("des", 1, "spiral", "human"), label_event("des", 1, "elliptical"))
    pairs = {(row["annotator_a"], row["annotator_b"]): row for row in annotator_agreement(workspace).to_pylist()}
    assert set(pairs) == {("ann", "ben"), ("ann", "cy"), ("ben", "cy")}
    both = pairs["ann", "ben"]
    # 6 of 10 the same; by chance 0.6 * 0.6 + 0.4 * 0.4 = 0.52
    assert (both["objects"], both["same"]) == (10, 0.6) and both["kappa"] == pytest.approx((0.6 - 0.52) / (1 - 0.52))
    assert pairs["ann", "cy"]["kappa"] is None, "where all is one class, chance agrees as well"
    done = cli("-w", workspace.path, "labels", "agreement", "--format", "csv")
    assert done.out.splitlines()[1].startswith('"ann","ben",10,0.6,0.16')
    empty = create_workspace(tmp_path / "empty")
    assert "No two annotators" in cli("-w", empty.path, "labels", "agreement").err


# --- the server


def test_only_this_machine_can_reach_it(served):
    import psutil

    listening = [c.laddr.ip for c in psutil.Process(served.process.pid).net_connections() if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


def test_an_empty_workspace_shows_what_to_do_next(tmp_path: Path):
    served = start_serving(create_workspace(tmp_path / "ws"), kind=ForkedServer)
    try:
        with served.client() as client:
            for path, words in (
                ("/", "ingest images"),
                ("/review", "There is no list yet"),
                ("/rounds", "catbuilder round"),
            ):
                answered = client.get(path)
                assert answered.status_code == 200 and words in answered.text, path
            made = client.post("/review/lists", data={"strategy": "random", "n": "5", "annotator": "vera"})
            assert made.status_code == 400 and "finds no object to label" in made.text
    finally:
        stop_serving(served)


def test_a_page_waits_for_a_recording_and_says_so_if_it_takes_long(served, browser):
    with served.workspace.recording("long"):
        answered = browser.get("/sql")
        assert answered.status_code == 503 and "reloads in three seconds" in answered.text
        assert 'http-equiv="refresh"' in answered.text
    assert browser.get("/sql").status_code == 200


def test_the_verbs_are_documented(served):
    command = CommandLine(served.workspace.path, Path("none.toml"))
    assert "catbuilder serve --port" in command("serve", "--help")


def test_concurrent_answers_get_distinct_event_numbers(workspace):
    name = start_question_list(workspace, "random", 5)
    asked = read_questions(workspace, name, "vera")
    with ThreadPoolExecutor(4) as threads:
        for annotator in ("vera", "edwin"):
            for one in asked:
                threads.submit(record_answer, workspace, name, annotator, one.survey, one.object_id, "spiral")
    assert [one.answer for one in read_questions(workspace, name, "vera")] == ["spiral"] * 5
    assert [f.check for f in check(workspace) if f.count and f.check not in ("models", "scores")] == []
    runs = rows(workspace, "SELECT count(*), count(DISTINCT run) FROM runs")
    assert runs[0][0] == runs[0][1], "every recording has its own number"


def test_pages_are_served_while_exports_run(browser):
    def patiently(path: str) -> int:
        # as the page that is shown meanwhile does
        while (status := browser.get(path).status_code) == 503:
            pass
        return status

    with ThreadPoolExecutor(5) as threads:
        heavy = [threads.submit(patiently, path) for path in ("/download/fits", "/download/csv", "/?count=1")]
        pages = [threads.submit(browser.get, "/") for _ in range(12)]
        assert {one.result() for one in heavy} == {one.result().status_code for one in pages} == {200}


def test_a_full_slot_raises_and_is_free_again_later():
    places = BoundedSemaphore(1)
    with (
        limited_slot(places, "one is here"),
        pytest.raises(WorkspaceBusy, match=r"^one is here; try again"),
        limited_slot(places, "one is here"),
    ):
        pass
    with limited_slot(places, "nobody is here"):
        pass


def test_a_killed_process_raises_and_the_next_one_works():
    with pytest.raises(WorkerDied, match="memory ran out"):
        in_own_process(signal.raise_signal, signal.SIGKILL)
    assert in_own_process(os.getpid) != os.getpid()
