"""Random tables, written in every format that is read, come back equal: ids, numbers, NULL, NaN, units and letters."""

import csv
import gzip
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, QTable, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.ingest.tables.open_table import open_table

UNITS = ["", "deg", "rad", "h", "mag", "mag(AB)", "nmgy", "uJy", "arcsec", "pix"]
NUMPY = {"id": "i8", "small": "i2", "real": "f8", "single": "f4", "text": "U"}

# what archives write for no value is no text
texts = st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" "), min_size=1, max_size=12).map(str.strip)
texts = texts.filter(lambda text: text.lower() not in ("", "nan", "null", "none"))
rows = st.fixed_dictionaries(
    {
        "id": st.integers(0, 2**63 - 1) | st.integers(2**53, 2**53 + 9),
        "small": st.none() | st.integers(-32_767, 32_767),
        "real": st.none() | st.floats(allow_infinity=False),
        "single": st.none() | st.floats(allow_infinity=False, width=32),
        "text": st.none() | texts,
    }
)
tables = st.lists(rows, min_size=1, max_size=8, unique_by=lambda row: row["id"])

Rows = list[dict[str, Any]]
Units = dict[str, str]


def masked(made: Rows, units: Units) -> Table:
    """The rows as an astropy table."""
    table = Table()
    for name, kind in NUMPY.items():
        cells = [row[name] for row in made]
        empty = "" if kind == "U" else 0
        filled = [empty if cell is None else cell for cell in cells]
        table[name] = MaskedColumn(np.array(filled, kind), mask=[cell is None for cell in cells])
        table[name].unit = units.get(name) or None
    return table


def as_csv(made: Rows, units: Units, folder: Path) -> Path:
    with open(folder / "t.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(NUMPY))
        writer.writeheader()
        writer.writerows(made)
    return folder / "t.csv"


def as_packed_csv(made: Rows, units: Units, folder: Path) -> Path:
    (folder / "t.csv.gz").write_bytes(gzip.compress(as_csv(made, units, folder).read_bytes()))
    return folder / "t.csv.gz"


def as_fits(made: Rows, units: Units, folder: Path) -> Path:
    table = masked(made, units)
    encoded = np.array(
        [(row["text"] or "").encode() for row in made]
    )  # astropy writes letters beyond ASCII as bytes only
    table["text"] = encoded if encoded.dtype.itemsize else encoded.astype("S1")
    for name in ("id", "small"):
        table[name].fill_value = -32_768
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of units that the FITS standard does not list
        QTable(table).write(folder / "t.fits")  # a Table would leave out units that FITS does not know
    return folder / "t.fits"


def votable(kind: str) -> Callable[[Rows, Units, Path], Path]:
    def write(made: Rows, units: Units, folder: Path) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of units that the VOTable standard does not list
            tree = from_table(masked(made, units))
            for field in tree.get_first_table().fields:
                if field.name in ("id", "small"):
                    field.values.null = -32_768
            tree.to_xml(str(folder / "t.vot"), tabledata_format=kind)
        return folder / "t.vot"

    return write


def as_parquet(made: Rows, units: Units, folder: Path) -> Path:
    kinds = [pa.int64(), pa.int16(), pa.float64(), pa.float32(), pa.string()]
    fields = [
        pa.field(name, kind, metadata={"unit": units.get(name, "")}) for name, kind in zip(NUMPY, kinds, strict=True)
    ]
    pq.write_table(pa.Table.from_pylist(made, schema=pa.schema(fields)), folder / "t.parquet")
    return folder / "t.parquet"


def as_astropy_parquet(made: Rows, units: Units, folder: Path) -> Path:
    masked(made, units).write(folder / "t.parquet")
    return folder / "t.parquet"


def ecsv(file: str, delimiter: str) -> Callable[[Rows, Units, Path], Path]:
    def write(made: Rows, units: Units, folder: Path) -> Path:
        masked(made, units).write(folder / file, format="ascii.ecsv", delimiter=delimiter)
        return folder / file

    return write


FORMATS: dict[str, Callable[[Rows, Units, Path], Path]] = {
    "csv": as_csv, "csv.gz": as_packed_csv, "fits": as_fits, "parquet": as_parquet,
    "parquet of astropy": as_astropy_parquet, "ecsv": ecsv("t.ecsv", " "), "ecsv named csv": ecsv("t.csv", ","),
    **{kind: votable(kind) for kind in ("tabledata", "binary", "binary2")},
}  # fmt: skip
WITHOUT_UNITS = ("csv", "csv.gz")
UCS2 = ("binary", "binary2")  # whose texts have two bytes a letter
WITHOUT_NAN = (*WITHOUT_UNITS, "fits", "tabledata", "binary", "binary2")  # NaN is their NULL


def cells_of(path: Path) -> tuple[Rows, Units]:
    """The rows of a file as DuckDB gets them, and the units of its columns."""
    table = open_table(path)
    names = [column.name for column in table.columns]
    with duckdb.connect() as con, table.scan(con, names, lambda done, of: None) as scan:
        found = fetch_arrow(con, f"SELECT * FROM {scan.source}", scan.parameters).to_pylist()
    return found, {column.name: column.unit for column in table.columns if column.unit}


def comparable(name: str, cell: object, nan_is_null: bool) -> object:
    """A cell as its column means it: texts of CSV as numbers, padded texts without blanks, NaN as one value."""
    if isinstance(cell, str):
        cell = cell.strip()
        if name != "text" and cell:
            cell = float(cell) if name in ("real", "single") else int(cell)
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell) and nan_is_null):
        return None
    if isinstance(cell, float) and math.isnan(cell):
        return "NaN"
    return float(np.float32(cell)) if name == "single" else cell


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_table_written_in_any_format_is_read_back_equal(kind, data, tmp_path_factory):
    made = data.draw(tables if kind not in UCS2 else tables.filter(lambda some: max(map(ord, str(some))) < 0x10000))
    some = [
        unit for unit in UNITS if kind != "fits" or "(" not in unit
    ]  # astropy loses mag(AB) of masked columns there
    units = data.draw(st.fixed_dictionaries({name: st.sampled_from(some) for name in ("real", "single")}))
    found, read_units = cells_of(FORMATS[kind](made, units, tmp_path_factory.mktemp("table")))
    as_meant = [
        [{name: comparable(name, row[name], kind in WITHOUT_NAN) for name in NUMPY} for row in some]
        for some in (made, found)
    ]
    assert as_meant[0] == as_meant[1]
    stated = {name: unit for name, unit in units.items() if unit and kind not in WITHOUT_UNITS}
    assert {name: unit.replace("pixel", "pix") for name, unit in read_units.items()} == stated
