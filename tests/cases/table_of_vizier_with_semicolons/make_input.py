"""VizieR's table of semicolons or tabs: below the header come a row of units and a row of dashes."""

from pathlib import Path

ROWS = [
    ["COADD_OBJECT_ID", "RA", "DEC", "MAG_AUTO_G"], [" ", "deg", "deg", "mag"], ["---", "------", "------", "---"],
    ["1", "000.79792", "-06.08917", " 1.97e+01"], ["2", "000.80125", "-35.92820", ""],
]  # fmt: skip
Path("rosat.csv").write_text("#Column list\n" + "".join(";".join(row) + "\n" for row in ROWS))
Path("tabs.tsv").write_text("".join("\t".join(row) + "\n" for row in ROWS))
