"""Write small tables in the formats of archives, for tests and for the corpus of cases."""

import io
from collections.abc import Sequence

from astropy.table import Table


def field(name: str, datatype: str, attributes: str = "", inside: str = "") -> str:
    """Write a FIELD of a VOTable."""
    return f'<FIELD name="{name}" datatype="{datatype}" {attributes}>{inside}</FIELD>'


POSITION = field("RA", "double") + field("DEC", "double")


def text_field(name: str) -> str:
    """Write a FIELD of texts of any length."""
    return field(name, "unicodeChar", 'arraysize="*"')


def votable(
    fields: str, rows: Sequence[Sequence[object]], *, version: str = "1.3", before: str = "", name: str = ""
) -> str:
    """Write a VOTable of TABLEDATA; `before` comes before the table."""
    cells = "".join("<TR>" + "".join(f"<TD>{cell}</TD>" for cell in row) + "</TR>" for row in rows)
    table = f'<TABLE name="{name}">{fields}<DATA><TABLEDATA>{cells}</TABLEDATA></DATA></TABLE>'
    return f'<VOTABLE version="{version}"><RESOURCE type="results">{before}{table}</RESOURCE></VOTABLE>'


def two_objects(first: int, kind: str) -> bytes:
    """Write two objects as a file of this format: csv, fits, votable.

    Object `first` lies at right ascension 10 + `first`, the next one at 10.5 + `first`.
    """
    rows = Table({"COADD_OBJECT_ID": [first, first + 1], "RA": [10.0 + first, 10.5 + first], "DEC": [1.0, 2.0]})
    if kind == "csv":
        return "".join(f"{','.join(map(str, line))}\n" for line in [rows.colnames, *rows]).encode()
    out = io.BytesIO()
    rows.write(out, format=kind)
    return out.getvalue()
