"""`catbuilder fetch` and a service that is slow, fails and lies: what is whole arrives, of the rest we are told."""

import csv
import dataclasses
import signal
import socket
import subprocess
import time
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_line import CATBUILDER, hear_ctrl_c, wait_for
from support.cutout_server import (
    black,
    broken,
    busy,
    busy_for_an_hour,
    busy_soon,
    by_a_detour,
    cut_short,
    dripping,
    dripping_headers,
    elsewhere,
    empty,
    half_an_image,
    huge,
    in_circles,
    not_there,
    packed,
    painted,
    painted_status,
    picture,
    png,
    serving,
    to_no_address,
    to_no_host,
    vast,
    web_page,
    web_page_called_image,
)
from support.forked_processes import ForkedProcess
from support.new_workspace import create_workspace
from support.workspaces import ask, cli, failed

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.core.files import sha256_file
from catbuilder.core.version import __version__
from catbuilder.ingest.fetch.cutout_services import SERVICES, Service, find_service
from catbuilder.ingest.fetch.fetch import fetch
from catbuilder.ingest.fetch.polite_client import RatePolicy

QUICK = RatePolicy(rate_per_s=1000.0, backoff_s=0.01, max_bytes=100_000, batch=4)


@pytest.fixture
def service():
    with serving() as state:
        yield state


@pytest.fixture(scope="module")
def ten_objects(tmp_path_factory):
    """Ten objects of SDSS at right ascensions 1 to 10, without image or split, the last without a position."""
    made = create_workspace(tmp_path_factory.mktemp("ten") / "ws", stamp_size=32)
    add_bare(made, range(1, 11), ra=[*map(float, range(1, 10)), None], dec=[-0.5] * 9 + [None], radius_arcsec=6.0)
    return made.path


@pytest.fixture
def workspace(ten_objects, copy_of):
    """A copy of them, to be changed."""
    return Workspace.open(copy_of(ten_objects))


def add_bare(workspace, ids, **columns):
    """Objects as a survey's catalogue brings them: neither stamp nor split."""
    rows = [
        {name: value[i] if isinstance(value, list) else value for name, value in columns.items()}
        | {"survey": "sdss", "object_id": 2**60 + n}
        for i, n in enumerate(ids)
    ]
    with workspace.recording("objects") as recording:
        recording.con.register("made", pa.Table.from_pylist(rows))
        recording.con.execute(
            "INSERT INTO objects BY NAME SELECT *, 'sdss' AS origin, ? AS round, ? AS run FROM made",
            [recording.round, recording.run],
        )


def stamps(workspace):
    found = ask(workspace, "SELECT object_id - 1152921504606846976, quality FROM stamps ORDER BY object_id")
    return {int(number): quality for number, quality in found}


def quick_fetch(workspace, service, **options):
    return fetch(workspace, "sdss", service.template, **{"policy": QUICK} | options)


# --- what comes in


def test_every_object_with_a_position_gets_its_image_with_hash_and_rendering(workspace, service):
    report = fetch(workspace, "sdss", service.template, arcsec_per_pixel=0.4, policy=QUICK)
    assert (report.wanted, report.added, report.failures, report.unasked) == (9, 9, (), 0)
    rows = ask(workspace, "SELECT object_id, file, sha256, rendering, arcsec_per_pixel, width_px FROM stamps")
    assert len(rows) == 9
    for object_id, file, sha256, rendering, scale, width in rows:
        folder = workspace.path / "fetched" / "sdss"
        assert file.startswith(str(folder)) and file.endswith(f"/{object_id}_24arcsec.jpg")
        assert sha256 == sha256_file(file)
        assert rendering.startswith("fetch/127.0.0.1-") and rendering.endswith(" 0.4 arcsec/px")
        assert (scale, width) == (pytest.approx(0.4), 48)
    assert service.agents == {next(iter(service.agents))}
    assert next(iter(service.agents)).startswith(f"catbuilder/{__version__} ")
    assert not list(workspace.path.glob("fetched/**/*.csv"))


def test_an_object_without_a_split_is_only_scored_and_one_with_a_split_keeps_it(workspace, service):
    with workspace.recording("splits") as recording:
        for number, split in ((1, "pool"), (2, "train")):
            recording.con.execute(
                "INSERT INTO splits VALUES ('sdss', ?, ?, ?, ?, NULL)",
                [2**60 + number, split, recording.round, recording.run],
            )
    quick_fetch(workspace, service, n=3)
    splits = ask(workspace, "SELECT split FROM catalog WHERE quality IS NOT NULL ORDER BY object_id")
    assert splits == [("pool",), ("train",), ("none",)]


def test_a_test_object_gets_its_image_too(workspace, service):
    with workspace.recording("test set") as recording:
        recording.con.execute(
            "INSERT INTO test_sets BY NAME SELECT 'HP' AS test_set, 'sdss' AS survey, ? AS object_id, "
            "'spiral' AS truth, ? AS round, ? AS run",
            [2**60 + 1, recording.round, recording.run],
        )
    assert quick_fetch(workspace, service, n=1).added == 1
    assert ask(workspace, "SELECT test_set, quality FROM catalog WHERE quality IS NOT NULL") == [("HP", "ok")]


def test_png_is_kept_as_png_and_a_black_image_comes_in_flagged_and_is_not_asked_for_again(workspace, service):
    service.faults = {1: png, 2: black}
    report = quick_fetch(workspace, service)
    assert (report.added, report.flagged_objects, dict(report.flagged)) == (8, 1, {"blank": 1})
    assert stamps(workspace) == {n: "blank" if n == 2 else "ok" for n in range(1, 10)}
    assert ask(workspace, "SELECT file FROM stamps WHERE object_id = ?", 2**60 + 1)[0][0].endswith(".png")
    assert quick_fetch(workspace, service).wanted == 0
    assert service.counts.total() == 9


def test_the_width_follows_the_radius_unless_it_is_stated(workspace, service):
    quick_fetch(workspace, service, n=1)
    quick_fetch(workspace, service, n=1, width_arcsec=40.0)
    add_bare(workspace, [11], ra=11.0, dec=0.0)
    quick_fetch(workspace, service, where="ra = 11")
    assert service.sizes == {1: 24.0, 2: 40.0, 11: 22.0}


@pytest.mark.parametrize(("condition", "numbers"), [("ra > 7.5", [8, 9]), ("dec > 0 OR ra = 3", [3])])
def test_a_condition_chooses(workspace, service, condition, numbers):
    quick_fetch(workspace, service, where=condition)
    assert sorted(stamps(workspace)) == numbers


@pytest.mark.parametrize(
    "condition", ["nonsense = 1", "true); DROP TABLE objects; --", "1 = (SELECT 1 FROM '/etc/passwd')"]
)
def test_a_condition_that_is_none_is_refused_before_anything_is_asked(workspace, service, condition):
    done = cli("-w", workspace.path, "fetch", "--survey", "sdss", "--service", service.template, "--where", condition)
    failed(done, "--where")
    assert not service.asked


# --- what goes wrong


def test_the_good_ones_arrive_and_each_failure_is_listed_with_its_reason(workspace, service):
    service.first_faults = {1: busy, 2: cut_short, 3: half_an_image}
    service.faults = {4: not_there, 5: web_page, 6: cut_short, 7: empty, 8: web_page_called_image}
    report = quick_fetch(workspace, service)
    assert report.added == 4 and stamps(workspace) == dict.fromkeys((1, 2, 3, 9), "ok")
    assert {failure.object_id - 2**60: failure.reason.split(" (")[0] for failure in report.failures} == {
        4: "the service answered 404 Not Found",
        5: "the answer is text/html, not a JPEG or PNG image",
        6: "the answer was cut short",
        7: "the answer was empty",
        8: "this is not a JPEG or PNG image",
    }
    # what may do better at once was tried four times, what will not once
    assert [service.counts[n] for n in (1, 2, 3, 4, 5, 6, 7, 8, 9)] == [2, 2, 2, 1, 1, 4, 4, 4, 1]
    assert len(list(workspace.path.glob("fetched/sdss/*/*.jpg"))) == 4

    with open(report.failures_file, encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert [row["object_id"] for row in listed] == [str(2**60 + n) for n in (4, 5, 6, 7, 8)]
    assert all(row["url"].startswith(service.url) and row["reason"] for row in listed)

    service.faults.clear()
    service.asked.clear()
    again = quick_fetch(workspace, service)
    assert (again.wanted, again.added, again.failures) == (5, 5, ())
    assert service.counts == dict.fromkeys((4, 5, 6, 7, 8), 1)
    assert not report.failures_file.exists()


def test_an_answer_without_end_and_a_redirect_to_a_file_are_refused(workspace, service):
    service.faults = {1: huge, 2: elsewhere}
    report = quick_fetch(workspace, service, n=2)
    assert [failure.reason for failure in report.failures] == [
        "the answer has more than 100,000 bytes, which is too much",
        "the service redirected to an unusable address",
    ]


def reasons(report):
    return {failure.object_id - 2**60: failure.reason for failure in report.failures}


def test_an_answer_that_drips_is_not_waited_for_and_the_others_arrive(workspace, service):
    service.faults = {1: dripping, 2: dripping_headers}
    started = time.monotonic()
    report = quick_fetch(workspace, service, n=3, policy=dataclasses.replace(QUICK, answer_timeout_s=3.0))
    assert time.monotonic() - started < 40, "each drips for a minute"
    assert reasons(report) == dict.fromkeys((1, 2), "the answer was not complete within 3 s")
    assert report.added == 1 and service.counts == {1: 1, 2: 1, 3: 1}


def test_a_redirect_to_no_address_is_a_failure_of_that_object_alone(workspace, service):
    service.faults = {1: to_no_address, 2: in_circles, 3: to_no_host, 4: by_a_detour}
    report = quick_fetch(workspace, service, n=5)
    assert reasons(report) == dict.fromkeys((1, 2, 3), "the service redirected to an unusable address")
    assert report.added == 2 and service.counts[4] == 2


def test_an_answer_that_unfolds_is_refused_before_it_does(workspace, service):
    service.faults = {1: packed, 2: vast}
    report = quick_fetch(workspace, service, n=3)
    assert reasons(report)[1] == "the answer is compressed (gzip, gzip), which was not requested"
    assert "4,100 x 4,100 pixels, above the limit" in reasons(report)[2]
    assert report.added == 1 and service.counts[1] == 1


def test_what_a_service_says_cannot_write_on_the_terminal(workspace, service):
    service.faults = {1: painted, 2: painted_status}
    report = quick_fetch(workspace, service, n=2)
    assert all(reason.isprintable() for reason in reasons(report).values())
    assert 100 < len(reasons(report)[1]) < 200
    assert reasons(report)[2] == "the service answered 404 Not Found"
    assert report.failures_file.read_text().replace("\n", "").isprintable()


def test_a_time_to_wait_that_is_none_is_not_waited_for(workspace, service):
    service.first_faults = {1: busy_soon}
    assert quick_fetch(workspace, service, n=1).added == 1
    assert service.counts == {1: 2}


def test_an_image_of_another_width_than_asked_for_is_refused_since_its_scale_would_be_wrong(workspace, service):
    template = service.template + "&pixels={pixels}"
    report = fetch(workspace, "sdss", template, arcsec_per_pixel=0.4, policy=QUICK, n=1)  # 24 arcsec are 60 pixels
    assert reasons(report) == {1: "the image is 48 pixels wide instead of 60, so that its pixel scale is unknown"}
    assert fetch(workspace, "sdss", template, arcsec_per_pixel=0.5, policy=QUICK, n=1).added == 1


def test_a_service_that_is_down_is_left_alone(workspace, service):
    service.faults = dict.fromkeys(range(3, 10), busy)
    report = quick_fetch(workspace, service, policy=dataclasses.replace(QUICK, give_up_after=2, tries=2))
    assert (report.added, len(report.failures), report.unasked) == (2, 2, 5)
    assert report.given_up == "the service answered 503 Service Unavailable (asked 2 times)"
    assert service.counts == {1: 1, 2: 1, 3: 2, 4: 2}


def test_an_error_of_the_server_about_some_positions_does_not_keep_the_others_back(workspace, service):
    service.faults = dict.fromkeys(range(1, 9), broken)
    report = quick_fetch(workspace, service, policy=dataclasses.replace(QUICK, give_up_after=2, tries=2))
    assert (report.added, len(report.failures), report.given_up) == (1, 8, None)


def test_a_service_that_wants_an_hour_of_peace_is_given_it(workspace, service):
    service.faults = {2: busy_for_an_hour}
    report = quick_fetch(workspace, service)
    assert report.given_up == "the service asks for a pause of 3600 s"
    assert (report.added, report.unasked, service.counts) == (1, 7, {1: 1, 2: 1})


def test_nobody_there_is_an_error_in_one_exit_code(workspace):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        template = f"http://127.0.0.1:{free.getsockname()[1]}/?ra={{ra}}&dec={{dec}}"
    policy = dataclasses.replace(QUICK, tries=1, give_up_after=3)
    report = fetch(workspace, "sdss", template, policy=policy)
    assert report.given_up.startswith("the service does not answer") and "refused" in report.given_up
    assert (report.added, report.unasked) == (0, 6)


# --- rate policy


def test_requests_keep_to_the_rate(workspace, service):
    rate = 25.0
    quick_fetch(workspace, service, policy=dataclasses.replace(QUICK, rate_per_s=rate))
    times = [when for when, _ in service.asked]
    # a lower bound: a slow machine asks later, never earlier; half a gap for the way to the server
    assert len(times) == 9 and times[-1] - times[0] >= (len(times) - 1.5) / rate


@pytest.mark.parametrize("fault", [busy, empty, by_a_detour, cut_short])
def test_second_tries_and_redirects_keep_to_the_rate_too(workspace, service, fault):
    rate = 20.0
    service.first_faults = {1: fault, 2: fault}
    service.faults = {3: fault}
    quick_fetch(workspace, service, n=4, policy=dataclasses.replace(QUICK, rate_per_s=rate, backoff_s=0.0, tries=2))
    times = [when for when, _ in service.asked]
    # never earlier than the rate allows: the same lower bound as above
    assert len(times) >= 6 and times[-1] - times[0] >= (len(times) - 1.5) / rate


def test_two_fetches_of_one_kind_at_once_are_one_too_many(workspace, service):
    service.faults = {1: dripping}
    options = ["-w", str(workspace.path), "fetch", "--survey", "sdss", "--service", service.template]
    process = ForkedProcess([CATBUILDER, *options], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: service.counts)
        failed(cli(*options), "another fetch of sdss from 127.0.0.1", f"process {process.pid} on")
    finally:
        process.kill()
        process.wait()
    # whoever dies lets go
    service.faults.clear()
    assert quick_fetch(workspace, service).added == 9


def test_failures_are_on_disk_before_the_fetch_ends(workspace, service):
    service.faults = {1: not_there, 2: not_there, 3: dripping}
    process = ForkedProcess(
        [CATBUILDER, "-w", str(workspace.path), "fetch", "--survey", "sdss", "--service", service.template],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: service.counts[3])
    finally:
        process.kill()
        process.wait()
    assert sorted(failed_ids(workspace)) == [1, 2]


def test_failures_of_objects_that_were_not_asked_for_this_time_stay_listed(workspace, service):
    service.faults = {1: not_there, 2: not_there, 3: broken}
    quick_fetch(workspace, service)
    service.faults = {3: not_there}
    quick_fetch(workspace, service, where="ra IN (2, 3)")
    assert failed_ids(workspace) == {
        1: "the service answered 404 Not Found", 3: "the service answered 404 Not Found"
    }  # fmt: skip
    # one that got its image from elsewhere is no failure any more
    add_stamp(workspace, 1, "ok")
    quick_fetch(workspace, service, where="ra = 3")
    assert list(failed_ids(workspace)) == [3]


def failed_ids(workspace):
    """Objects in failed.csv with the reason, each once."""
    with open(next(workspace.path.glob("fetched/sdss/*/failed.csv")), encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    found = {int(row["object_id"]) - 2**60: row["reason"] for row in rows}
    assert len(found) == len(rows)
    return found


def add_stamp(workspace, number, quality):
    """A stamp as one cut from a tile."""
    with workspace.recording("stamp") as recording:
        recording.con.execute(
            "INSERT INTO stamps BY NAME SELECT 'sdss' AS survey, ? AS object_id, 'stamps/none.npy' AS shard, 0 AS row, "
            "'tile.fits' AS file, '00' AS sha256, ? AS quality, ? AS round, ? AS run",
            [2**60 + number, quality, recording.round, recording.run],
        )


def test_a_stamp_that_lacks_pixels_is_replaced_and_no_other(workspace, service):
    for number, quality in ((1, "truncated"), (2, "masked,saturated"), (3, "blank"), (4, "saturated")):
        add_stamp(workspace, number, quality)
    report = quick_fetch(workspace, service, where="ra < 5")
    assert (report.wanted, report.added, report.rejections) == (2, 2, ())
    standing = ask(workspace, "SELECT quality FROM standing_stamps_at() ORDER BY object_id")
    assert standing == [("ok",), ("ok",), ("blank",), ("saturated",)]


def test_files_of_another_width_are_not_taken_and_what_the_dead_left_is_cleared_away(workspace, service):
    service.delay_s = 0.05
    options = ["--survey", "sdss", "--service", service.template, "--rate", "20", "--size", "10"]
    process = ForkedProcess(
        [CATBUILDER, "-w", str(workspace.path), "fetch", *options], stderr=subprocess.DEVNULL, text=True
    )
    wait_for(lambda: list(workspace.path.glob("fetched/sdss/*/[0-9]*.jpg")))
    process.kill()
    process.wait()
    folder = next(workspace.path.glob("fetched/sdss/*"))
    (folder / ".1152921504606846977.4194305.partial.jpg").write_bytes(b"half")
    service.asked.clear()
    assert quick_fetch(workspace, service, width_arcsec=60.0).added == 9
    assert service.counts == dict.fromkeys(range(1, 10), 1) and service.sizes[1] == 60.0
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(("how", "kind"), [(signal.SIGKILL, ForkedProcess), (signal.SIGINT, subprocess.Popen)])
def test_a_fetch_that_was_stopped_goes_on_and_asks_for_nothing_twice(workspace, service, how, kind):
    service.delay_s = 0.05
    options = ["--survey", "sdss", "--service", service.template, "--rate", "20"]
    command = [CATBUILDER, "-w", str(workspace.path), "fetch", *options]
    process = kind(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)
    wait_for(lambda: len(list(workspace.path.glob("fetched/sdss/*/[0-9]*.jpg"))) >= 3)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGKILL) and "Traceback" not in err
    kept = len(list(workspace.path.glob("fetched/sdss/*/[0-9]*.jpg")))
    assert 3 <= kept < 9 and stamps(workspace) == {}

    report = quick_fetch(workspace, service)
    assert (report.added, stamps(workspace)) == (9, dict.fromkeys(range(1, 10), "ok"))
    # the one that was on its way may have been asked for twice
    assert 9 <= service.counts.total() <= 10


def test_batches_are_recorded_on_the_way(workspace, service):
    service.faults = dict.fromkeys(range(6, 10), busy)
    quick_fetch(workspace, service, policy=dataclasses.replace(QUICK, batch=2, give_up_after=1, tries=1))
    recordings = ask(workspace, "SELECT count(*) FROM stamps GROUP BY run ORDER BY run")
    assert recordings == [(2,), (2,), (1,)]


def test_a_damaged_file_of_before_is_fetched_anew(workspace, service):
    folder = workspace.path / "fetched" / "sdss" / find_service(service.template).folder
    folder.mkdir(parents=True)
    (folder / f"{2**60 + 1}_24arcsec.jpg").write_bytes(picture(1)[:100])
    (folder / f"{2**60 + 2}_24arcsec.jpg").write_bytes(picture(2))
    assert quick_fetch(workspace, service, n=2).added == 2
    assert service.counts == {1: 1}


# --- the command line


def test_the_command_tells_what_came_what_did_not_and_what_to_do(workspace, service):
    service.faults = {n: not_there for n in range(2, 10)} | {1: black}
    command = ("-w", workspace.path, "fetch", "--survey", "sdss", "--service", service.template, "--rate", 20)
    done = cli(*command)
    assert done.code == 0
    assert "0 of 9 images fetched" in done.out and "1 more are kept out" in done.out and "1 blank" in done.out
    assert "8 could not be fetched; give the same command again" in done.err
    assert f"{2**60 + 2}: the service answered 404 Not Found" in done.err

    nothing = cli(*command)
    assert nothing.code == 1 and "0 of 8 images fetched" in nothing.out

    service.faults.clear()
    assert cli(*command, "--n", 5, "--size", 30).code == 0
    assert cli(*command).out.startswith("3 of 3 images fetched")
    assert cli(*command).out.startswith("Nothing to fetch")


def test_a_fetch_that_left_objects_unasked_has_not_succeeded(workspace, service):
    service.faults = {3: busy_for_an_hour}
    done = cli("-w", workspace.path, "fetch", "--survey", "sdss", "--service", service.template, "--rate", 20)
    assert done.code == 1 and "2 of 9 images fetched" in done.out
    assert "Stopped before 6 objects: the service asks for a pause of 3600 s. Try again later." in done.err


def test_a_list_of_failures_that_is_long_is_cut_and_says_where_the_rest_is(tmp_path, service):
    workspace = create_workspace(tmp_path / "long", stamp_size=32)
    add_bare(workspace, range(1, 24), ra=[float(n) for n in range(1, 24)], dec=0.0)
    service.faults = dict.fromkeys(range(1, 24), not_there)
    done = cli("-w", workspace.path, "fetch", "--survey", "sdss", "--service", service.template, "--rate", 20)
    assert done.code == 1 and done.err.count("404 Not Found") == 20
    assert "... and 3 more" in done.err and "failed.csv" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--survey", "hubble"), "there is no service 'hubble'"),
        (("--survey", "hubble", "--service", "sdss"), "unknown survey 'hubble'"),
        (("--survey", "sdss", "--service", "panstarrs"), "known are sdss, des, decals"),
    ],
)
def test_unknown_names_are_told(workspace, words, said):
    failed(cli("-w", workspace.path, "fetch", *words), said)


# --- services


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("file:///etc/{ra}{dec}", "not an http or https URL"),
        ("ftp://host/{ra}{dec}", "not an http or https URL"),
        ("http://{ra}.org/{dec}", "name of its server"),
        ("http:///{ra}{dec}", "not an http or https URL"),
        ("http://host/{ra}", "no {ra} and {dec}"),
        ("http://host/{ra}{dec}{width}", "the field 'width'"),
        ("http://host/{ra.__class__}{ra}{dec}", "the field 'ra.__class__'"),
        ("http://host/{ra!r}{dec}", "the field 'ra'"),
        ("http://host/{ra:>9999999999}{dec}", "the field 'ra'"),
        ("http://host/{}{ra}{dec}", "the field ''"),
        ("http://host/{ra}{dec", "not a URL template"),
        ("http://[::1/{ra}{dec}", "not a URL template"),
        ("http://host/{ra}{dec}{pixels}", "--scale"),
    ],
)
def test_a_template_that_cannot_be_asked_is_refused(template, said):
    with pytest.raises(InputError) as refused:
        find_service(template)
    assert said in str(refused.value)


def test_two_templates_of_one_host_are_two_renderings():
    one, two = (find_service(f"https://host/?ra={{ra}}&dec={{dec}}&layer={layer}") for layer in ("a", "b"))
    assert one.rendering != two.rendering and one.folder != two.folder
    assert find_service("sdss", 0.396).folder != find_service("sdss").folder


def test_the_known_services_form_the_urls_that_their_archives_document():
    assert find_service("sdss").url(179.68929, -0.454379, 30.0) == (
        "https://skyserver.sdss.org/dr18/SkyServerWS/ImgCutout/getjpeg"
        "?ra=179.6892900&dec=-0.4543790&scale=0.2&width=150&height=150"
    )
    assert find_service("des").url(14.5, -52.25, 22.0) == (
        "https://www.legacysurvey.org/viewer/jpeg-cutout?ra=14.5000000&dec=-52.2500000&layer=des-dr1&pixscale=0.262&size=84"
    )
    assert "layer=ls-dr10&pixscale=0.3&" in find_service("decals", 0.3).url(1.0, 2.0, 20.0)


@pytest.mark.parametrize("name", SERVICES)
def test_a_known_service_is_never_asked_for_more_or_fewer_pixels_than_it_gives(name):
    service = find_service(name)
    for width in (0.1, 10.0, 120.0, 5000.0):
        asked = parse_qs(urlsplit(service.url(1.0, 2.0, width)).query)
        pixels = int(asked["width" if name == "sdss" else "size"][0])
        assert service.pixels[0] <= pixels <= service.pixels[1]


@given(ra=st.floats(0, 360), dec=st.floats(-90, 90), width=st.floats(1, 1000))
def test_position_and_size_come_back_from_the_url(ra, dec, width):
    template = "http://host/?ra={ra}&dec={dec}&size={size}&pixels={pixels}&scale={scale}"
    asked = {
        key: float(value[0])
        for key, value in parse_qs(urlsplit(Service("x", template, 0.25).url(ra, dec, width)).query).items()
    }
    assert abs(asked["ra"] - ra) <= 1e-7 and abs(asked["dec"] - dec) <= 1e-7
    assert asked["size"] == pytest.approx(asked["pixels"] * asked["scale"], rel=1e-5)
    assert asked["size"] == pytest.approx(max(width, 4.0), abs=0.126)
