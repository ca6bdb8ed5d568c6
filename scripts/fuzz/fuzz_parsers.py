"""Fuzz every parser of foreign files: spoiled files in, and neither a traceback nor a hang nor a full memory out.

Each parser gets its inputs in child processes, one file after the other. An input is a finding when it raises anything
but a `CatbuilderError`, ends the process (a crash in C), takes more than 20 s, or takes more memory than the limit.
Inputs follow from parser, seed and number alone; those of findings are kept with what they did, and beside them how far
each parser has come, so that a run which is left off goes on with `--resume`. Ends with a table of all its inputs.

    python scripts/fuzz/fuzz_parsers.py                          50,000 inputs
    python scripts/fuzz/fuzz_parsers.py --inputs 200000 --seed 1 --seconds 600 --resume
    python scripts/fuzz/fuzz_parsers.py --only image
    python scripts/fuzz/fuzz_parsers.py --again findings/parquet-0-1234.parquet --only parquet
"""

import argparse
import gzip
import json
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from fuzz_mutations import spoil
from fuzz_targets import TARGETS, Target, stream, try_input

LIMIT_MB = 1024  # of memory, above what the process had before the input: an image of 64 million pixels takes 900
_SLOW_S = 20.0
_BATCH = 20_000  # inputs a process: what leaks, leaks no further; to start one takes seconds
# Each child makes a folder of its own in it
_IN_MEMORY = Path("/dev/shm")  # nosec B108
_RLIMIT_GB = 8  # of a child, so that a bomb does not take the machine along


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=50_000, help="of all parsers together")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="leave off after so many")
    parser.add_argument("--resume", action="store_true", help="go on with a run of this seed that was left off")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=TARGETS, help="one parser")
    parser.add_argument("--findings", type=Path, default=Path("findings"), help="where inputs that failed are kept")
    parser.add_argument("--again", type=Path, help="give one kept input to --only, here, with its traceback")
    options = parser.parse_args()
    if options.again:
        return _again(TARGETS[options.only], options.again)
    chosen = {options.only: TARGETS[options.only]} if options.only else TARGETS
    parts = sum(target.share for target in chosen.values())
    until = time.monotonic() + options.seconds
    options.findings.mkdir(parents=True, exist_ok=True)
    kept = options.findings / f"inputs-{options.seed}.json"
    known = json.loads(kept.read_text()) if options.resume and kept.exists() else {}
    counts = {name: Counter[str](known.get(name, {})) for name in TARGETS}
    for name, target in chosen.items():
        wanted = round(options.inputs * target.share / parts)
        _fuzz(name, target, options.seed, wanted, until, options.findings, counts[name])
        kept.write_text(json.dumps(counts))
    done = {name: counts[name] for name in chosen}
    print(_table(done))
    totals = sum(done.values(), Counter[str]())
    print(
        f"{_inputs(totals)} inputs, {totals['raised'] + totals['ended']} "
        f"tracebacks, {totals['memory']} over {LIMIT_MB} MB, {totals['slow']} over {_SLOW_S:g} s"
    )
    sys.exit(1 if totals["findings"] else 0)


def _inputs(counts: Counter[str]) -> int:
    return counts["read"] + counts["refused"] + counts["findings"]


def _table(counts: dict[str, Counter[str]]) -> str:
    """As docs/hostile-input.md shows it."""
    lines = [
        f"| {name} | {_inputs(c):,} | {c['read']:,} | {c['refused']:,} | {c['findings']:,} |"
        for name, c in {**counts, "all": sum(counts.values(), Counter[str]())}.items()
    ]
    return "\n".join(["| parser | inputs | read | refused | findings |", "|---|---|---|---|---|", *lines])


def _fuzz(
    name: str, target: Target, seed: int, wanted: int, until: float, findings: Path, counts: Counter[str]
) -> None:
    """Give a parser its inputs up to `wanted`, a new process for every batch and after everything that ends one."""
    number = _inputs(counts)
    if number >= wanted or time.monotonic() >= until:
        return
    began, seeds = time.monotonic(), target.seeds()
    context = multiprocessing.get_context("spawn")
    while number < wanted and time.monotonic() < until:
        ours, theirs = context.Pipe()
        job = (name, seeds, seed, number, min(number + _BATCH, wanted), theirs)
        child = context.Process(target=_child, args=job, daemon=True)
        child.start()
        theirs.close()
        number = _follow(ours, child, number, until, name, seed, seeds, counts, findings)
    print(f"{name:20} {number:7} of {wanted} inputs, {time.monotonic() - began:.0f} s", flush=True)


def _follow(
    ours: Connection, child: multiprocessing.process.BaseProcess, number: int, until: float, name: str, seed: int,
    seeds: list[bytes], counts: Counter[str], findings: Path,
) -> int:  # fmt: skip
    """Count what the child says; gives the number of the next input."""

    def keep(what: str, why: str) -> None:
        counts["findings"] += 1
        counts[what] += 1
        file = Path(TARGETS[name].file).name
        stem = findings / f"{name.replace(' ', '_').replace(',', '')}-{seed}-{number}"
        stem.with_name(f"{stem.name}-{file}").write_bytes(make_input(name, seeds, seed, number))
        stem.with_name(f"{stem.name}.txt").write_text(f"{what}\n{why}\n", encoding="utf-8", errors="replace")
        print(f"  {name} {number}: {what}: {why.strip().splitlines()[-1][:200]}", flush=True)

    started = False  # to import takes seconds too
    try:
        while True:
            if not ours.poll(_SLOW_S if started else 120):
                keep("slow", f"more than {_SLOW_S:g} s")
                return number + 1
            message = ours.recv()
            if message == "ready":
                started = True
            elif message is None or time.monotonic() > until:
                return number
            else:
                outcome, why, peak_mb = message
                if outcome == "raised":
                    keep("raised", why)
                elif peak_mb > LIMIT_MB:
                    keep("memory", f"{peak_mb:.0f} MB")
                else:
                    counts[outcome] += 1
                number += 1
    except (EOFError, ConnectionError):
        child.join()
        keep("ended", f"the process ended with {child.exitcode}")
        return number + 1
    finally:
        child.kill()
        child.join()


def make_input(name: str, seeds: list[bytes], seed: int, number: int) -> bytes:
    """Input `number` of a parser."""
    target, rng = TARGETS[name], stream(name, seed, number)
    data = spoil(rng, seeds, target.words, target.structured)
    if not target.file.endswith(".gz"):
        return data
    packed = gzip.compress(data, 1, mtime=0)
    return packed if rng.random() < 0.8 else spoil(rng, [packed], (), None)


def _child(name: str, seeds: list[bytes], seed: int, first: int, end: int, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_RLIMIT_GB << 30, _RLIMIT_GB << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    target = TARGETS[name]
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        path = Path(folder) / target.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seeds[0])
        for _ in range(2):  # imports and pools count as nobody's
            try:
                try_input(target, path)
            except Exception:
                traceback.print_exc()
        pipe.send("ready")
        for number in range(first, end):
            path.write_bytes(make_input(name, seeds, seed, number))
            pipe.send(measured(target, path))
        pipe.send(None)


def measured(target: Target, path: Path) -> tuple[str, str, float]:
    """What became of an input, why, and the MB that it took at its peak."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of before
    before = _memory_kb("VmRSS")
    try:
        outcome, why = try_input(target, path), ""
    except Exception:
        outcome, why = "raised", traceback.format_exc()
    return outcome, why, (_memory_kb("VmHWM") - before) / 1024


def _memory_kb(what: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1])
    return 0


def _again(target: Target, file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / target.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read_bytes())
        print(try_input(target, path))


if __name__ == "__main__":
    main()
