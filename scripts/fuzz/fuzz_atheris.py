"""Fuzz a parser written in Python with atheris, which follows the coverage of the code that it runs.

For the parsers that are ours line by line; `fuzz_parsers.py` is for those whose work is done in C. It ends by itself
after so many runs or seconds, or at the first finding, which it writes to a file named crash-*.

    pip install 'catbuilder[fuzz]'
    python scripts/fuzz/fuzz_atheris.py "user csv" -max_total_time=60
    python scripts/fuzz/fuzz_atheris.py settings -runs=100000
"""

import sys
import tempfile
from pathlib import Path

import atheris

_OURS = [
    "catbuilder.core.settings",
    "catbuilder.ingest.tables.fits_header",
    "catbuilder.ingest.tables.fits_columns",
    "catbuilder.ingest.tables.fits_table",
    "catbuilder.ingest.tables.packed_file",
    "catbuilder.ingest.tables.votable_cells",
    "catbuilder.ingest.tables.votable_header",
    "catbuilder.catalogue.label_events",
    "catbuilder.core.user_csv",
    "catbuilder.ingest.tables.table_file",
    "catbuilder.ingest.tiles.tile_file",
    "catbuilder.core.safe_text",
]

with atheris.instrument_imports(include=[*_OURS, "tomllib"]):
    from fuzz_targets import TARGETS, try_input


def main() -> None:
    name, *options = sys.argv[1:] or [""]
    if name not in TARGETS:
        sys.exit(f"name one of: {', '.join(TARGETS)}")
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        seeds, path = Path(folder) / "seeds", Path(folder) / "input" / target.file
        seeds.mkdir()
        path.parent.mkdir(parents=True)
        for number, seed in enumerate(target.seeds()):
            (seeds / str(number)).write_bytes(seed)

        def one(data: bytes) -> None:
            path.write_bytes(data)
            try_input(target, path)

        atheris.Setup([sys.argv[0], *options, "-rss_limit_mb=4096", "-timeout=20", str(seeds)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
