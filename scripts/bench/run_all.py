"""Run benchmarks and write what they printed into docs/benchmarks.md, with machine, date and command.

Without arguments every benchmark here runs at its default, small size. Each command has a section of its own,
which the next run of the same command replaces; the others stay as they are.

    python scripts/bench/run_all.py [--list] ["catalogue.py --objects 300000000" ...]

Exits with 1 where a benchmark did: it missed one of its bars.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
PAGE = SCRIPTS.parents[1] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Each section is what one benchmark printed, at its default size where no other is given; `make bench` writes this page.
Ratios are taken in one run, since machines are shared and noisy. A line that says MISSED missed its bar.
"""


def machine() -> str:
    """Processor, cores and memory of this machine."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    names = re.findall(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {gib:.0f} GiB"


def run(command: str) -> tuple[str, bool]:
    """A benchmark's section, and whether it kept its bars."""
    script, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments], stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    print(done.stdout, flush=True)
    if done.returncode not in (0, 1) or not done.stdout.strip():  # broken off, not merely below a bar
        raise SystemExit(f"scripts/bench/{command} ended with {done.returncode}: nothing of it is written")
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    verdict = "kept its bars" if done.returncode == 0 else "**missed a bar**"
    printed = done.stdout.strip()
    return (
        f"## `scripts/bench/{command}`\n\n{when}, {machine()}; {verdict}.\n\n```\n{printed}\n```\n",
        done.returncode == 0,
    )


def sections(page: str) -> tuple[str, dict[str, str]]:
    """What stands before the first section, and the sections by their commands."""
    head, *parts = re.split(r"^(?=## `scripts/bench/)", page, flags=re.MULTILINE)
    return head.rstrip() + "\n", {
        part.split("`")[1].removeprefix("scripts/bench/"): part.rstrip() + "\n" for part in parts
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commands", nargs="*", help="scripts with their arguments; by default all, at small size")
    parser.add_argument("--list", action="store_true", help="only name the benchmarks")
    asked = parser.parse_args()
    commands = asked.commands or sorted(path.name for path in SCRIPTS.glob("*.py") if path != Path(__file__).resolve())
    if asked.list:
        print("\n".join(commands))
        return 0
    kept = True
    for command in commands:
        print(f"== scripts/bench/{command}", flush=True)
        section, well = run(command)
        kept &= well
        head, page = sections(PAGE.read_text(encoding="utf-8") if PAGE.is_file() else HEAD)
        page[command] = section
        PAGE.write_text("\n".join([head, *(page[name] for name in sorted(page))]), encoding="utf-8")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
