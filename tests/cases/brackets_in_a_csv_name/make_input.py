"""A browser saved a second download as `cat[1].csv`, beside the first one's `cat1.csv`, which the pattern matches."""

from pathlib import Path

HEADER = "COADD_OBJECT_ID,RA,DEC,MAG_AUTO_G\n"
Path("cat[1].csv").write_text(HEADER + "111,10.0,1.0,17.0\n")
Path("cat1.csv").write_text(HEADER + "999,99.0,9.0,19.0\n")
