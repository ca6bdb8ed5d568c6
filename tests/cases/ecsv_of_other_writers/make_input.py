"""ECSV of other writers: truth values of which some are missing, a type that is none, and an id beyond 64 bits."""

from pathlib import Path

HEAD = """# %ECSV 0.9
# ---
# datatype:
# - {{name: COADD_OBJECT_ID, datatype: {}}}
# - {{name: RA, datatype: float64}}
# - {{name: DEC, datatype: float64}}
# - {{name: FLAGS_G, datatype: {}}}
COADD_OBJECT_ID RA DEC FLAGS_G
"""
Path("bool.ecsv").write_text(HEAD.format("int64", "bool") + '1 10.5 1.5 True\n2 11.5 -2.5 ""\n3 12.5 1.5 False\n')
Path("int.ecsv").write_text(HEAD.format("int", "int16") + "11 10.5 1.5 4\n")
Path("large.ecsv").write_text(
    HEAD.format("int64", "int16") + "12121312311248721894712984728 10.5 1.5 4\n21 10.5 1.5 4\n"
)
