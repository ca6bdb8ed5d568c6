"""Certified rounds of real networks on the command line: certificates hold against the truth, refusals help."""

import csv
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_line import wait_for
from support.contents import MadeOnce, assert_same_contents, contents, rows
from support.disk_faults import stopped
from support.toy_rounds import CERTIFIED, CLASSES, Toy, build_toy, toy_at

pytestmark = pytest.mark.slow

EVERYTHING = "SELECT * EXCLUDE (run) FROM {} ORDER BY ALL"
BEFORE = "decide.before_commit"
VOUCHED = ("certificates", "calibration", "promotion_cuts", "calibrators", "queue", "audits", "shifts")


@pytest.fixture(scope="module")
def first(made_once: MadeOnce, copy_of: Callable[[Path], Path]) -> tuple[Toy, str]:
    """After one certified round, and what it said. Copy it, do not change it."""
    toy = toy_at(made_once("toy", build_toy))
    toy = toy.on(copy_of(toy.workspace))
    return toy, toy.round(*CERTIFIED)


@pytest.fixture(scope="module")
def undecided_and_second(first: tuple[Toy, str], copy_of: Callable[[Path], Path]) -> tuple[Toy, Toy]:
    """What a kill before its decisions are recorded leaves of another round, and the same round once it went on.

    The round stands still there while its workspace is copied, so that it is trained once for both.
    """
    toy = first[0].on(copy_of(first[0].workspace))
    try:
        process = toy.command.start(*toy.command.round_arguments(), *CERTIFIED, CATBUILDER_FAULT=f"{BEFORE}:hold")
        wait_for(lambda: process.poll() is not None or stopped(process.pid), 300, 0.1)
        assert process.poll() is None, process.communicate()
        undecided = toy.on(copy_of(toy.workspace))
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    finally:
        toy.command.stop()
    return undecided, toy


@pytest.fixture(scope="module")
def second(undecided_and_second: tuple[Toy, Toy]) -> Toy:
    """After two certified rounds. Copy it, do not change it."""
    return undecided_and_second[1]


def vouched(toy: Toy) -> dict[str, list[tuple[object, ...]]]:
    return {table: rows(toy.workspace, EVERYTHING.format(table)) for table in VOUCHED}


def test_no_batch_has_more_wrong_labels_than_its_certificate_allows(second: Toy) -> None:
    text = "SELECT round, class, verdict, batch, batch_errors FROM certificates ORDER BY round, class"
    found = {(number, name): row for number, name, *row in rows(second.workspace, text)}
    assert set(found) == {(number, name) for number in (1, 2) for name in CLASSES}
    for (number, name), (verdict, batch, batch_errors) in found.items():
        taken = [n for n, label in second.promoted(number).items() if label == name]
        wrong = [n for n in taken if second.truth[n] != name]
        assert len(taken) == batch, (number, name)
        assert verdict == "refused" or len(wrong) <= batch_errors, (number, name)
        if number == 1:
            assert verdict == "certified" and batch > 100, "most of the pool can be told"
    assert set(second.promoted(1)) & set(second.promoted(2)) == set()


def test_the_round_reports_its_certificates(first: tuple[Toy, str]) -> None:
    toy, said = first
    for name in CLASSES:
        batch = sum(label == name for label in toy.promoted(1).values())
        assert re.search(rf"{batch} {name} certified at calibrated confidence [\d.]+ and above: at most 15.0% of", said)


def test_certificates_can_be_recomputed_and_the_next_round_trains_on_them(second: Toy) -> None:
    assert second.faults() == {}
    learned = rows(second.workspace, "SELECT object_id, label FROM training WHERE round = 2 AND source = 'promoted'")
    assert dict(learned) == second.promoted(1)
    assert rows(second.workspace, "SELECT count(*) FROM training WHERE object_id IN (SELECT object_id FROM calibration)"
                ) == [(0,)]  # fmt: skip


def test_shift_meters_and_calibration_are_recorded_each_round(second: Toy) -> None:
    compared = rows(second.workspace, "SELECT round, sample_a, sample_b FROM shifts WHERE meter = 'auc'")
    samples = {("labelled", "calibration"), ("labelled", "pool"), ("calibration", "pool")}
    assert samples == {(a, b) for number, a, b in compared if number == 1}, "later too few may be left of the pool"
    measured = rows(second.workspace, "SELECT DISTINCT round FROM metrics WHERE metric = 'ece'")
    assert sorted(measured) == [(1,), (2,)]


def test_the_audit_asks_about_some_of_each_batch(second: Toy, tmp_path: Path) -> None:
    file = tmp_path / "audit.csv"
    said = second.command("select", "--strategy", "audit", "--out", file)
    with open(file, newline="") as lines:
        asked = list(csv.DictReader(lines))
    queued = rows(second.workspace, "SELECT object_id, certificate FROM queue")
    assert {int(row["object_id"]) for row in asked} == {n for n, _ in queued} and len(asked) >= 8
    assert {f"r001-{name}" for name in CLASSES} <= {certificate for _, certificate in queued}
    assert not any(row["label"] for row in asked), "nobody is told what was predicted"
    assert f"labels import {file} --source human" in " ".join(said.split())


def test_killed_before_its_decisions_are_recorded_and_resumed_it_gives_the_same_certificates(
    undecided_and_second: tuple[Toy, Toy], copy_of: Callable[[Path], Path]
) -> None:
    undecided, second = undecided_and_second
    toy = undecided.on(copy_of(undecided.workspace))
    assert rows(toy.workspace, "SELECT DISTINCT round FROM certificates") == [(1,)]
    said = toy.round(*CERTIFIED)
    assert "round 2 was scored but not closed" in said
    assert vouched(toy) == vouched(second)
    assert_same_contents(toy.workspace, contents(second.workspace))


def test_too_few_calibration_labels_say_how_many_are_missing(second: Toy, copy_of: Callable[[Path], Path]) -> None:
    """One per cent cannot be shown with some hundred galaxies of a class, however well the network has learned."""
    toy = second.on(copy_of(second.workspace))
    said = toy.round(*CERTIFIED, "--set", "certificate.alpha=0.01", "--set", "training.stages.0.epochs=1")
    assert "warning: " in said and "little or nothing will be promoted" in said
    for name in CLASSES:
        assert re.search(rf"no {name} is promoted: .* at least \d+ more calibration galaxies predicted {name}", said)
    assert toy.promoted(3) == {}
    assert toy.faults() == {}
