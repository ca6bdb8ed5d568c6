"""A table is empty, or has a header row alone."""

from pathlib import Path

Path("empty.csv").write_text("")
Path("blank.csv").write_text("\n \n")
Path("header.csv").write_text("object_id,label,sdss_id,des_id\n\n")
