"""Compare two workspaces to the last bit: everything that their rounds have made, without times and recording numbers.

For a change of the code that must not change a catalogue: make the same one before and after it, on one machine with
one seed and one number of processes, and compare.

    python scripts/study/same_catalogue.py demo-before demo
    python scripts/study/same_catalogue.py real-before real

Exits with 1 where anything differs.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.contents import contents

from catbuilder.catalogue.workspace import Workspace


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("before", type=Path, help="a workspace")
    parser.add_argument("after", type=Path, help="another one")
    asked = parser.parse_args()
    before, after = (contents(Workspace.open(place)) for place in (asked.before, asked.after))
    same = True
    for name, rows in before.items():
        differ = sum(a != b for a, b in zip(rows, after[name], strict=False)) + abs(len(rows) - len(after[name]))
        same &= not differ
        print(f"{name:>16}: {len(rows):>8,} rows before, {len(after[name]):>8,} after, {differ:,} differ")
    print("the catalogues are the same, bit for bit" if same else "the catalogues DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
