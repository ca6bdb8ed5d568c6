"""Columns with arraysize="1", which version 1.3 made an array of one element, in all three ways to write the rows."""

import base64
import struct
from pathlib import Path

NAMES = {"COADD_OBJECT_ID": "long", "RA": "double", "DEC": "double", "FLAGS_G": "short"}


def write(name: str, size: str, data: str) -> None:
    fields = "".join(f'<FIELD name="{column}" datatype="{kind}" {size}/>' for column, kind in NAMES.items())
    Path(name).write_text(
        f'<VOTABLE version="1.3"><RESOURCE><TABLE>{fields}<DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>'
    )


def stream(row: bytes) -> str:
    return f'<STREAM encoding="base64">{base64.b64encode(row).decode()}</STREAM>'


cells = "<TD>{}</TD><TD>10.0</TD><TD>1.0</TD><TD> 3 </TD>"
row = struct.pack(">ddh", 10.0, 1.0, 3)
write("fixed.vot", 'arraysize="1"', f"<TABLEDATA><TR>{cells.format(1)}</TR></TABLEDATA>")
write("variable.vot", 'arraysize="1*"', f"<TABLEDATA><TR>{cells.format(2)}</TR></TABLEDATA>")
write("matrix.vot", 'arraysize="1x1"', f"<TABLEDATA><TR>{cells.format(3)}</TR></TABLEDATA>")
write("binary.vot", 'arraysize="1"', f"<BINARY>{stream(struct.pack('>q', 4) + row)}</BINARY>")
write("binary2.vot", 'arraysize="1"', f"<BINARY2>{stream(struct.pack('>bq', 0, 5) + row)}</BINARY2>")
