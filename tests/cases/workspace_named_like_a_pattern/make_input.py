"""The workspace is called `survey [a]*`, and a folder that the pattern matches lies beside it, with a copy's names."""

from pathlib import Path

HEADER = "COADD_OBJECT_ID,RA,DEC\n"
Path("survey ab").mkdir()
Path("survey ab/catalog.duckdb").write_text("not a catalogue")
Path("t.csv").write_text(HEADER + "5,10.0,1.0\n")
