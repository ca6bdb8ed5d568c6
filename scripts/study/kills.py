"""Kill whole runs of rounds again and again, start them again by the same command, and see whether anything differs.

Each run is three rounds (`--rounds`) of two Horovod processes on a small survey of its own copy. In a run of random
kills the coordinator alone, one worker alone, or all of them are killed by SIGKILL, after waits drawn from an
exponential distribution, or within 30 ms of the moment at which a recording begins to be written. In a run of fault
points (`--points`) the process is killed once at every temporary file written, fsync, rename, commit, checkpoint and
log line that the run comes by and no such run before it was killed at, until there is none left. After every kill
nothing of the run may be left running and the catalogue must open; then the same command goes on. At the end labels,
predictions, metrics, steps and the hashes of models and of every checkpoint seen on the way must be those of a run
that nobody disturbed.

    python scripts/study/kills.py [--kills 300] [--points] [--resume] [--seconds N] [--runs N] [--folder kill-study]

Results are kept in the folder, a line a kill (`kills.jsonl`) and a line a run (`runs.jsonl`); `--resume` goes on
adding to them until there are so many kills. With `--seconds` the study ends after that time, wherever it is: a run
under way is killed as a whole, and goes on with the next call. Exits with 1 on any difference; its last line is the
count.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from kill_results import RANKS, SEED, Study, checkpoints_kept, code_hash, differences, lines_of, summary, tables

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.files import append_line

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.command_line import CommandLine

HANG_S = 60.0  # without any file of the workspace changing, or without a process ending that should
KILLS_A_RUN = (24, 40)  # random ones, from and to
WORKERS = ("catbuilder.network.train", "catbuilder.network.score")


class Leg:
    """The command given once: until it ends by itself, or is killed."""

    def __init__(self, catbuilder: CommandLine, study: Study, **environment: str) -> None:
        self.catbuilder, self.study, self.started = catbuilder, study, time.monotonic()
        self.process = catbuilder.start_round(np=RANKS, n=study.rounds, seed=SEED, **environment)
        self.changed, self.state = time.monotonic(), (0, 0)

    def over(self) -> bool:
        return self.process.poll() is not None

    def hangs(self) -> bool:
        """Whether it lives, and no file of the workspace has changed for a minute."""
        stats = [s for path in self.catbuilder.workspace.rglob("*") if (s := lstat(path)) is not None]
        state = (max(s.st_mtime_ns for s in stats), sum(s.st_size for s in stats))
        if state != self.state:
            self.changed, self.state = time.monotonic(), state
        return time.monotonic() - self.changed > HANG_S

    def workers(self) -> list[psutil.Process]:
        return [process for module in WORKERS for process in self.catbuilder.processes(module)]

    def kill(self, target: str, rng: random.Random) -> str:
        """Kill the coordinator, a worker or all; gives what was killed, since there may be no worker now."""
        workers = self.workers()
        if target == "worker" and workers:
            victim = rng.choice(workers)
            name = next(module for module in WORKERS if module in victim.cmdline())
            victim.kill()
            return f"worker ({name.removeprefix('catbuilder.')})"
        victims = workers if target == "all" else []
        for pid in rng.sample([self.process.pid, *(w.pid for w in victims)], 1 + len(victims)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it died of the others
        return f"all ({1 + len(victims)})" if victims else "coordinator"


def lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def phase(workspace: Path) -> str:
    """The last step that the log knows."""
    file = workspace / "log.jsonl"
    for line in reversed(file.read_text().splitlines()) if file.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "step" in entry:
            return f"{entry['round']} {entry['step']}"
    return "0 new"


def all_told(study: Study, workspace: Path) -> bool:
    """Whether the run had told of its last round when it was killed: then the same command asks for more rounds."""
    return phase(workspace) == f"{study.rounds} closed" and not (workspace / "rounds" / "run.json").exists()


def after_leg(leg: Leg) -> list[str]:
    """What is wrong once the coordinator is gone: processes left, a catalogue that does not open, a word too many."""
    out, err = leg.process.communicate()
    faults, code, started = [], leg.process.returncode, time.monotonic()
    while leg.catbuilder.processes():
        if time.monotonic() - started > HANG_S:
            left = leg.catbuilder.processes()
            faults.append(f"{len(left)} processes left: {[' '.join(p.cmdline()) for p in left]}")
            for process in left:
                process.kill()
            break
        time.sleep(0.1)
    try:
        with Workspace.open(leg.catbuilder.workspace).reading() as con:
            con.execute("SELECT count(*) FROM catalog").fetchall()
    except Exception as error:
        faults.append(f"the catalogue does not open: {error!r}")
    errors = [line for line in err.splitlines() if line.startswith("Error")]
    if code not in (0, -signal.SIGKILL) and (
        code != 1 or len(errors) != 1 or "same command again" not in errors[0] or "Traceback" in out + err
    ):
        faults.append(f"ended with {code}: {err[-2000:]}")
    return faults


def until_over(leg: Leg, at: float = float("inf"), writing: int = 0) -> str:
    """Wait for the leg's end ('over'), for an instant ('now'), or for its so-manieth write to the catalogue ('now').

    Or until it 'hangs', or until the study is to be left off ('left off').
    """
    wal, there, looked = leg.catbuilder.workspace / "catalog.duckdb.wal", False, time.monotonic()
    while not leg.over():
        if leg.study.time_is_up():
            return "left off"
        if time.monotonic() >= at:
            return "now"
        if writing:
            appeared = wal.exists()
            writing -= appeared and not there
            there = appeared
            if not writing:
                return "now"
        if time.monotonic() - looked > 2:
            looked = time.monotonic()
            if leg.hangs():
                return "hangs"
        time.sleep(0.001 if writing else 0.02)
    return "over"


Lines = list[dict[str, Any]]  # of the results, a kill each; kept once its run has been compared
Faults = list[str]


def random_run(study: Study, number: int, most: int) -> tuple[Lines, Faults | None]:
    """One run with so many random kills; gives these and what is wrong, None if it was left off."""
    seed = int.from_bytes(os.urandom(4), "big")
    rng = random.Random(seed)  # nosec B311 (instants of kills, no secrets)
    wanted, pace = min(most, rng.randint(*KILLS_A_RUN)), study.seconds * rng.uniform(0.01, 0.05)
    catbuilder = study.command(f"run-{number:04d}")
    file = catbuilder.workspace.parent / "kills.jsonl"
    with checkpoints_kept(catbuilder.workspace) as seen:
        faults, ended = Faults(), all_told(study, catbuilder.workspace)
        while not (faults or ended or study.time_is_up()):
            leg, killed = Leg(catbuilder, study), ""
            while len(lines_of(file)) < wanted and (killed == "" or killed.startswith("worker")):
                kill = strike(leg, pace, rng)
                if kill is None:
                    break
                killed = kill["killed"]
                append_line(file, json.dumps({"run": number, "seed": seed, "code": code_hash(), **kill}))
            faults = finish_leg(leg, rng)
            ended = leg.process.returncode == 0 or all_told(study, catbuilder.workspace)
    return lines_of(file), verdict(study, catbuilder, seen, faults, ended)


def strike(leg: Leg, pace: float, rng: random.Random) -> dict[str, Any] | None:
    """Wait for an instant and kill something; gives what and when, None if the leg was over before."""
    write = rng.random() < 0.3
    at = float("inf") if write else time.monotonic() + rng.expovariate(1 / pace)
    if until_over(leg, at, rng.randint(1, 2) * write) != "now":
        return None
    if write:
        time.sleep(rng.uniform(0, 0.03))
    target, waited = rng.choices(("coordinator", "worker", "all"), (4, 4, 3))[0], time.monotonic()
    while target == "worker" and not (leg.over() or leg.workers()) and time.monotonic() < waited + HANG_S:
        time.sleep(0.05)
    if leg.over():
        return None
    after, second = phase(leg.catbuilder.workspace), round(time.monotonic() - leg.started, 2)
    return {"killed": leg.kill(target, rng), "after": after, "second": second, "at_a_write": write}


def finish_leg(leg: Leg, rng: random.Random) -> list[str]:
    faults = []
    match until_over(leg):
        case "hangs":
            faults.append("hangs: no file changed for a minute")
            leg.kill("all", rng)
        case "left off":
            leg.kill("all", rng)
    return faults + after_leg(leg)


def points_run(study: Study, number: int) -> tuple[Lines, Faults | None]:
    """One run killed once at every fault point that it comes by; gives these and what is wrong, None if left off.

    A recording that is killed after its commit is not done again, and so does not come by the points behind that. They
    are for the next run, which is killed where no run before it was.
    """
    catbuilder = study.command(f"points-{number:04d}")
    points = catbuilder.workspace.parent / "points"
    before = [line["point"] for line in study.results("points") if line["code"] == code_hash()]
    if not points.exists():
        points.write_text("".join(f"{name}\n" for name in before))
    with checkpoints_kept(catbuilder.workspace) as seen:
        faults, ended = Faults(), all_told(study, catbuilder.workspace)
        while not (faults or ended or study.time_is_up()):
            leg = Leg(catbuilder, study, CATBUILDER_FAULT=f"each:{points}")
            faults = finish_leg(leg, random.Random(0))  # nosec B311 (instants of kills, no secrets)
            ended = leg.process.returncode == 0 or all_told(study, catbuilder.workspace)
    killed_at = points.read_text().splitlines()[len(before) :]
    lines = [{"run": number, "code": code_hash(), "point": name} for name in killed_at]
    return lines, verdict(study, catbuilder, seen, faults, ended)


def verdict(
    study: Study, catbuilder: CommandLine, checkpoints: dict[str, set[str]], faults: Faults, ended: bool
) -> Faults | None:
    """What is wrong with a run; None if it has been left off."""
    return differences(study, catbuilder, checkpoints) if ended and not faults else faults or None


def add_a_run(study: Study, kind: str, most: int) -> int:
    """Do one run, or go on with one, and record it unless it is left off; gives its kills."""
    number = 1 + sum(run["kind"] == kind for run in study.results("runs"))
    started = time.monotonic()
    kills, faults = points_run(study, number) if kind == "points" else random_run(study, number, most)
    seconds = round(time.monotonic() - started, 1)
    if faults is None:
        print(f"{kind} run {number}: left off after {len(kills)} kills", flush=True)
        return len(kills)
    for line in kills:
        study.record("points" if kind == "points" else "kills", line)
    line = {"run": number, "kind": kind, "kills": len(kills), "faults": faults}
    study.record("runs", {**line, "seconds": seconds, "rounds": study.rounds, "code": code_hash()})
    print(f"{kind} run {number}: {len(kills)} kills, {seconds:.0f} s, {faults or 'as undisturbed'}", flush=True)
    if not faults:
        shutil.rmtree(study.folder / f"{'points' if kind == 'points' else 'run'}-{number:04d}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=300, help="random kills in all")
    parser.add_argument("--points", action="store_true", help="kill once at every fault point instead")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=10**6, help="at most so many runs now")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="leave off after so many")
    parser.add_argument("--resume", action="store_true", help="add to the results of an earlier call")
    parser.add_argument("--folder", type=Path, default=Path("kill-study"), help="where survey and results are kept")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if not options.resume:
        if any((folder / f"{kind}.jsonl").exists() for kind in ("kills", "runs", "points")):
            parser.error(f"{folder} has results already; add to them with --resume, or name another --folder")
        folder.mkdir(parents=True, exist_ok=True)
    study = Study(folder, options.rounds, until=time.monotonic() + options.seconds)
    study.prepare()
    print(f"undisturbed: {study.seconds:.0f} s", flush=True)
    kind = "points" if options.points else "random"
    for _ in range(options.runs):
        done = len(study.results("kills"))
        if study.time_is_up() or (not options.points and done >= options.kills):
            break
        if add_a_run(study, kind, options.kills - done) == 0 and options.points:
            break  # there is no point left
    print(f"\n{tables(study)}\n")
    words, count = summary(study)
    print(words)
    return 1 if count else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.TimeoutExpired as error:
        sys.exit(f"the undisturbed run did not end: {error}")
