"""Ids of 18 and 20 digits: their sum needs more than 64 bits, and a sniffer takes 20 digits for a real number."""

from pathlib import Path

Path("long.csv").write_text(
    "COADD_OBJECT_ID,RA,DEC\n9223372036854775807,1,1\n9223372036854775805,2,1\n12345678901234567890,3,1\n"
)
