"""A table is not UTF-8 text with commas: semicolons, tabs, UTF-16, Latin-1, a workbook, lines that end in \\r alone."""

from pathlib import Path

TEXT = "object_id,label,annotator\n1000,spiral,ann\n1001,spiral,Zoë\n"
Path("semicolons.csv").write_text(TEXT.replace(",", ";"))
Path("tabs.csv").write_text(TEXT.replace(",", "\t"))
Path("utf16.csv").write_text(TEXT, "utf-16")
Path("latin1.csv").write_text(TEXT, "latin-1")
Path("workbook.csv").write_bytes(b"PK\x03\x04" + bytes(100))
Path("packed.csv").write_bytes(b"\x1f\x8b\x08" + bytes(100))
Path("cr.csv").write_bytes(TEXT.replace("\n", "\r").encode())
Path("des.csv").write_bytes(b"COADD_OBJECT_ID,RA,DEC\r1,1,1\r")
