"""What the kill study keeps: its survey, what an undisturbed run makes of it, and every kill and run so far."""

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.command_line import CommandLine
from support.contents import contents
from support.small_survey import build, write_recipe

import catbuilder
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import append_line, sha256_file
from catbuilder.inspection.check import check

RANKS, SEED = 2, 1


@dataclass
class Study:
    """The folder with the survey, what an undisturbed run makes of it, and the results so far."""

    folder: Path
    rounds: int
    expected: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0  # of the undisturbed run
    until: float = float("inf")  # the instant at which to leave off

    def time_is_up(self) -> bool:
        return time.monotonic() >= self.until

    def command(self, name: str) -> CommandLine:
        """The command line on a fresh copy of the survey, or on that of a run of this code that has been left off."""
        place = self.folder / name
        begun = place / "begun.json"  # written last
        if not (begun.exists() and json.loads(begun.read_text()) == code_hash()):
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.folder / "survey" / "ws", place / "ws")
            begun.write_text(json.dumps(code_hash()))
        return CommandLine(place / "ws", self.folder / "recipe.toml")

    def prepare(self) -> None:
        """Make the survey and run it undisturbed, unless this code and this number of rounds have done so here."""
        file, code = self.folder / "undisturbed.json", {"code": code_hash(), "rounds": self.rounds}
        if not (self.folder / "survey" / "ws" / "catbuilder.toml").exists():
            shutil.rmtree(self.folder / "survey", ignore_errors=True)
            build(self.folder / "survey")
            write_recipe(self.folder / "recipe.toml", batch_size=8, symmetries=1)
        known = json.loads(file.read_text()) if file.exists() else {}
        if {key: known.get(key) for key in code} != code:
            shutil.rmtree(self.folder / "undisturbed", ignore_errors=True)
            catbuilder, started = self.command("undisturbed"), time.monotonic()
            with checkpoints_kept(catbuilder.workspace) as seen:
                catbuilder.round(np=RANKS, n=self.rounds, seed=SEED)
            known = {**code, "seconds": time.monotonic() - started, "expected": outcome(catbuilder.workspace, seen)}
            file.write_text(json.dumps(known))
        self.expected, self.seconds = known["expected"], known["seconds"]
        worth_killing(self.expected, self.rounds)

    def record(self, kind: str, line: dict[str, Any]) -> None:
        append_line(self.folder / f"{kind}.jsonl", json.dumps(line))

    def results(self, kind: str) -> list[dict[str, Any]]:
        return lines_of(self.folder / f"{kind}.jsonl")


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def code_hash() -> str:
    """Of the package that is run: figures are of one code, or say so."""
    folder = Path(catbuilder.__file__).parent
    files = sorted([*folder.glob("*.py"), *folder.parent.glob("sql/**/*.sql")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def outcome(workspace: Path, checkpoints: dict[str, set[str]]) -> dict[str, Any]:
    """Everything that must not differ, as JSON gives it back."""
    found: dict[str, Any] = {
        **contents(workspace),
        "checkpoints": {name: sorted(hashes) for name, hashes in sorted(checkpoints.items())},
        "model files": {
            str(f.relative_to(workspace)): sha256_file(f) for f in sorted(workspace.glob("rounds/*/*.sa*"))
        },
    }
    return json.loads(json.dumps(found, default=str))


def worth_killing(expected: dict[str, Any], rounds: int) -> None:
    """Comparisons that compare nothing prove nothing."""
    promoted = [event for event in expected["label events"] if "promoted" in event]
    assert promoted and expected["metrics"] and len(expected["predictions"]) > 200 * rounds
    assert len(expected["models"]) == rounds and len(expected["checkpoints"]) == 2 * rounds
    assert rounds < 3 or any("retraction" in event for event in promoted), "no round takes anything back"


@contextmanager
def checkpoints_kept(workspace: Path) -> Iterator[dict[str, set[str]]]:
    """Hash every checkpoint that appears while the body runs; a finished training removes its own.

    They are kept beside the workspace, for a run that is left off.
    """
    kept = workspace.parent / "checkpoints.json"
    found = {name: set(hashes) for name, hashes in (json.loads(kept.read_text()) if kept.exists() else {}).items()}
    seen: set[tuple[int, int]] = set()
    ended = threading.Event()

    def look() -> None:
        for path in workspace.glob("rounds/*/attempts/*/checkpoint-*.safetensors"):
            try:
                with open(path, "rb") as file:  # opened, it can be read though it is removed meanwhile
                    state = os.fstat(file.fileno())
                    if (state.st_ino, state.st_mtime_ns) not in seen:
                        seen.add((state.st_ino, state.st_mtime_ns))
                        name = f"{path.parts[-4]}/{path.stem}"
                        found.setdefault(name, set()).add(hashlib.file_digest(file, "sha256").hexdigest())
            except FileNotFoundError:
                continue

    def watch() -> None:
        while not ended.wait(0.03):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()
        look()
        kept.write_text(json.dumps({name: sorted(hashes) for name, hashes in found.items()}))


def differences(study: Study, catbuilder: CommandLine, checkpoints: dict[str, set[str]]) -> list[str]:
    """What is other than in the undisturbed run, and what `check` finds."""
    found = outcome(catbuilder.workspace, checkpoints)
    expected = dict(study.expected)
    names = expected.pop("checkpoints")
    seen = found.pop("checkpoints")  # one of them may have come and gone between two looks
    faults = [f"{name} differ" for name in expected if found[name] != expected[name]]
    faults += [f"{name} differs" for name, hashes in seen.items() if hashes != names.get(name)]
    for finding in check(Workspace.open(catbuilder.workspace)):
        faults += [f"check: {fault}" for fault in finding.faults]
    return faults


def tables(study: Study) -> str:
    """The results as the tables of docs/reliability.md."""
    kills, runs, points = (study.results(kind) for kind in ("kills", "runs", "points"))
    steps = ("new", "planned", "trained", "scored", "decided", "evaluated", "closed")
    whom = ("coordinator", "worker (train)", "worker (score)", "all")
    counts = Counter((line["killed"].partition(" (")[0] if line["killed"].startswith("all") else line["killed"],
                      line["after"].split()[1]) for line in kills)  # fmt: skip
    text = [
        "| killed | " + " | ".join(f"after {step}" for step in steps) + " | in all |",
        "|---" * (len(steps) + 2) + "|",
    ]
    for who in whom:
        row = [counts[who, step] for step in steps]
        text.append(f"| {who} | {' | '.join(map(str, row))} | {sum(row)} |")
    text += ["", f"within 30 ms of a recording's first write: {sum(line['at_a_write'] for line in kills)} of them", ""]
    stages = Counter(line["point"].rpartition(".")[2] for line in points)
    text += ["| fault point | kills |", "|---|---|", *(f"| {stage} | {n} |" for stage, n in sorted(stages.items()))]
    text += ["", f"runs: {len(runs)}; code: {', '.join(sorted({run['code'] for run in runs}))}"]
    return "\n".join(text)


def summary(study: Study) -> tuple[str, int]:
    kills, runs, points = (study.results(kind) for kind in ("kills", "runs", "points"))
    faults = [fault for run in runs for fault in run["faults"]]
    closed = sum("does not open" in fault for fault in faults)
    hangs, left = sum(fault.startswith("hangs") for fault in faults), sum("processes left" in fault for fault in faults)
    return (
        f"{len(kills)} random kills and {len(points)} kills at fault points in {len(runs)} runs: "
        f"{len(faults) - closed - hangs - left} differences, {closed} catalogues that did not open, {hangs} hangs, "
        f"{left} times processes left over"
    ), len(faults)
