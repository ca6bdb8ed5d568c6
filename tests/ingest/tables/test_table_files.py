"""CSV, FITS, VOTable and Parquet as DuckDB streams them: every cell as the file has it, every row where it stands."""

import decimal
import gzip
import warnings
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from catbuilder.catalogue.connection import fetch_arrow
from catbuilder.core.errors import InputError
from catbuilder.core.resources import query
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables import fits_table
from catbuilder.ingest.tables.open_table import open_table


def read(path: Path, *names: str) -> pa.Table:
    """The rows of a file, as DuckDB gets them."""
    table = open_table(path)
    with (
        duckdb.connect() as con,
        table.scan(con, names or [c.name for c in table.columns], lambda done, of: None) as scan,
    ):
        return fetch_arrow(con, f"SELECT * FROM {scan.source}", scan.parameters)


def write_fits(path: Path, *columns: fits.Column) -> Path:
    fits.BinTableHDU.from_columns(list(columns)).writeto(path, overwrite=True)
    return path


# --- FITS


def test_fits_columns_arrive_as_what_they_mean(tmp_path):
    path = write_fits(
        tmp_path / "a.fits",
        fits.Column("ID", "K", array=np.array([2**53 + 1, -5])),
        fits.Column("UNSIGNED", "K", bzero=2**63, array=np.array([2**63 + 2**53 + 1, 7], np.uint64)),
        fits.Column("SMALL", "I", bzero=2**15, array=np.array([65535, 0], np.uint16)),
        fits.Column("SIGNED_BYTE", "B", bzero=-128, array=np.array([-128, 127], np.int8)),
        fits.Column("NULLED", "J", null=-1, array=np.array([-1, 4])),
        fits.Column("FLAG", "L", array=np.array([True, False])),
        fits.Column("REAL", "E", array=np.array([np.nan, 1.5], np.float32), unit="mag"),
        fits.Column("TEXT", "6A", array=["a b", ""]),
    )
    rows = read(path).to_pydict()
    assert rows["ID"] == [2**53 + 1, -5]
    assert rows["UNSIGNED"] == [2**63 + 2**53 + 1, 7]
    assert rows["SMALL"] == [65535, 0] and rows["SIGNED_BYTE"] == [-128, 127]
    assert rows["NULLED"] == [None, 4] and rows["FLAG"] == [True, False]
    assert np.isnan(rows["REAL"][0]) and rows["REAL"][1] == 1.5
    assert [text.strip() for text in rows["TEXT"]] == ["a b", ""]
    assert {column.name: column.unit for column in open_table(path).columns}["REAL"] == "mag"


def test_fits_values_scaled_by_the_header_are_scaled(tmp_path):
    column = fits.Column("S", "I", array=np.array([1, -2], np.int16))
    path = write_fits(tmp_path / "a.fits", column)
    with fits.open(path, mode="update") as file:
        file[1].header["TSCAL1"], file[1].header["TZERO1"] = 0.5, 3.0
    assert read(path)["S"].to_pylist() == fits.getdata(path)["S"].tolist() == [3.5, 2.0]


def test_fits_columns_without_a_single_value_a_row_are_marked_and_do_not_disturb_the_others(tmp_path):
    path = write_fits(
        tmp_path / "a.fits",
        fits.Column("VECTOR", "3E", array=np.ones((2, 3))),
        fits.Column("ID", "K", array=np.array([4, 5])),
        fits.Column("LIST", "PE()", array=np.array([[1.0], [2.0, 3.0]], dtype=object)),
        fits.Column("BITS", "5X", array=np.ones((2, 5), bool)),
    )
    assert {c.name: c.type for c in open_table(path).columns} == {"VECTOR": "", "ID": "BIGINT", "LIST": "", "BITS": ""}
    assert read(path, "ID").to_pydict() == {"ID": [4, 5]}


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_fits_rows_are_those_that_astropy_reads(data, tmp_path_factory):
    kind = data.draw(st.sampled_from(["u1", "i2", "i4", "i8", "f4", "f8", "S5"]))
    elements = st.text("abc XYZ0", max_size=5).map(str.encode) if kind == "S5" else None
    values = data.draw(hnp.arrays(kind, st.integers(1, 50), elements=elements))
    path = tmp_path_factory.mktemp("fits") / "a.fits.gz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Table({"before": np.arange(len(values)), "x": values}).write(path)
    found, there = read(path, "x")["x"].to_pylist(), fits.getdata(path)["x"]
    if kind == "S5":
        assert [text.rstrip() for text in found] == [text.rstrip() for text in there]
    else:
        np.testing.assert_array_equal(np.array(found, kind), there)


def test_a_fits_table_longer_than_one_chunk_comes_whole_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(fits_table, "_CHUNK_BYTES", 1000)
    path = write_fits(tmp_path / "a.fits", fits.Column("ID", "K", array=np.arange(1001)))
    assert read(path)["ID"].to_pylist() == list(range(1001))


@pytest.mark.parametrize("packed", [False, True])
def test_a_fits_file_cut_short_is_refused_with_its_rows(tmp_path, packed):
    whole = write_fits(tmp_path / "whole.fits", fits.Column("ID", "K", array=np.arange(10_000)))
    path = tmp_path / ("cut.fits.gz" if packed else "cut.fits")
    if packed:
        noise = fits.Column("ID", "K", array=np.random.default_rng(0).integers(0, 2**62, 10_000))
        path.write_bytes(gzip.compress(write_fits(whole, noise).read_bytes())[:-40_000])
    else:
        path.write_bytes(whole.read_bytes()[:-40_000])
    with pytest.raises(InputError, match=r"declares 10,000 rows and holds \d,\d{3}: it was cut short"):
        read(path)


@pytest.mark.parametrize("place", ["data", "checksum"])
@pytest.mark.parametrize("kind", ["fits", "csv"])
def test_a_gzipped_file_with_a_flipped_bit_is_refused(tmp_path, kind, place):
    noise = np.random.default_rng(0).integers(0, 2**62, 10_000)
    plain = write_fits(tmp_path / "a.fits", fits.Column("ID", "K", array=noise)).read_bytes()
    if kind == "csv":
        plain = ("id,n\n" + "".join(f"{number},1\n" for number in noise)).encode()
    packed = bytearray(gzip.compress(plain))
    packed[len(packed) // 2 if place == "data" else -6] ^= 1
    path = tmp_path / f"b.{kind}.gz"
    path.write_bytes(packed)
    with pytest.raises(InputError, match=r"b\.(fits|csv)\.gz is damaged \(its checksum is wrong\); fetch it again"):
        read(path)


def test_a_gzipped_fits_file_that_lacks_its_checksum_is_refused(tmp_path):
    plain = write_fits(tmp_path / "a.fits", fits.Column("ID", "K", array=np.arange(1000))).read_bytes()
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress(plain)[:-8])
    with pytest.raises(InputError, match="it was cut short"):
        read(tmp_path / "b.fits.gz")


@pytest.mark.parametrize("content", [b"", b"not fits", b"SIMPLE  =                    T"])
def test_what_is_no_fits_file_is_refused(tmp_path, content):
    (tmp_path / "a.fits").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.fits (cannot be read as FITS|holds no table)"):
        open_table(tmp_path / "a.fits")


def test_a_fits_file_with_images_alone_is_refused(tmp_path):
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "a.fits")
    with pytest.raises(InputError, match="holds no table"):
        open_table(tmp_path / "a.fits")


# --- CSV


def test_csv_with_comments_and_a_byte_order_mark_is_read_as_text(tmp_path):
    (tmp_path / "a.csv").write_bytes('\ufeff#Table1\n# more\nobjid, ra\n007,"1,5"\n8,é\n'.encode())
    table = open_table(tmp_path / "a.csv")
    assert [column.name for column in table.columns] == ["objid", "ra"] and not table.typed
    assert read(tmp_path / "a.csv").to_pydict() == {"objid": ["007", "8"], "ra": ["1,5", "é"]}


@settings(max_examples=30, deadline=None)
@given(lines=st.lists(st.sampled_from(["good", "blank", "short", "long"]), min_size=1, max_size=30))
def test_rows_and_malformed_lines_of_csv_are_told_by_the_line_they_stand_on(lines, tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    text = {"good": "{0},x", "blank": "", "short": "{0}", "long": "{0},x,y"}
    written = [text[kind].format(number) for number, kind in enumerate(lines, 3)]
    path.write_text("\n".join(["#Table1", "objid,ra", *written]) + "\n")
    table = open_table(path)
    with duckdb.connect() as con:
        with table.scan(con, ["objid"], lambda done, of: None) as scan:
            con.execute(f"CREATE TEMP TABLE rows AS SELECT objid FROM {scan.source}", scan.parameters)
        con.execute(query(table.malformed), {"id_place": 1})
        con.register("pieces", table.numbering(con))
        good = con.execute(
            "SELECT r.objid, p.row + r.rowid - p.first FROM rows AS r ASOF JOIN pieces AS p ON r.rowid >= p.first"
        ).fetchall()
        bad = con.execute("SELECT object_id, row FROM malformed").fetchall()
    assert sorted((int(a), b) for a, b in good) == [(n, n) for n, kind in enumerate(lines, 3) if kind == "good"]
    assert sorted((int(a), b) for a, b in bad) == [
        (n, n) for n, kind in enumerate(lines, 3) if kind in ("short", "long")
    ]


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (b"#only\n\n", "is empty"), (b"\x00\x01", "not a CSV")]
)
def test_what_is_no_csv_is_refused(tmp_path, content, words):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=words):
        open_table(tmp_path / "a.csv")


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_a_file_parted_by_something_else_than_commas_says_so(tmp_path, mark, name):
    (tmp_path / "a.csv").write_text(mark.join(["objid", "ra", "dec"]) + "\n")
    with pytest.raises(InputError, match=f"has {name} between its cells; save it with commas"):
        open_table(tmp_path / "a.csv")


@pytest.mark.parametrize("ends", [False, True])
def test_rows_that_an_unclosed_quote_takes_along_are_named(tmp_path, ends):
    path = tmp_path / "a.csv"
    path.write_text('id,name\n1,a\n2,"b\n3,c\n4,' + ('"d"' if ends else "d") + "\n" + "5,e\n" * ends)
    table = open_table(path)
    with duckdb.connect() as con:
        with table.scan(con, ["id"], lambda done, of: None) as scan:
            good = con.execute(f"SELECT id FROM {scan.source}", scan.parameters).fetchall()
        con.execute(query(table.malformed), {"id_place": 1})
        bad = con.execute("SELECT row, object_id, reason FROM malformed ORDER BY row").fetchall()
    assert bad[0] == (3, "2", "a quoted cell does not end")
    assert bad[1] == (4, "3", "it became part of row 3, where a quoted cell does not end")
    assert sorted(int(one) for one, *_ in [*good, *(row[1:] for row in bad)]) == list(range(1, 5 + ends))


def test_two_columns_of_one_name_are_refused_in_whatever_case(tmp_path):
    (tmp_path / "a.csv").write_text("ra,dec,RA\n1,2,3\n")
    with pytest.raises(InputError, match="the column 'ra' twice"):
        open_table(tmp_path / "a.csv")


# --- VOTable and Parquet


@pytest.mark.parametrize("serialised", ["tabledata", "binary", "binary2"])
def test_votable_gives_the_wanted_columns_with_nulls_and_units(tmp_path, serialised):
    table = Table(
        {"id": [2**53 + 1, 2], "ra": [1.5, np.nan], "name": ["a", "bc"], "v": np.ones((2, 3)), "b": [True, False]}
    )
    table["ra"].unit = "deg"
    table.write(tmp_path / "a.vot", format="votable", tabledata_format=serialised)
    columns = {column.name: (column.type, column.unit) for column in open_table(tmp_path / "a.vot").columns}
    assert columns == {
        "id": ("BIGINT", ""), "ra": ("DOUBLE", "deg"), "name": ("VARCHAR", ""), "v": ("", ""), "b": ("BOOLEAN", ""),
    }  # fmt: skip
    rows = read(tmp_path / "a.vot", "name", "id", "ra").to_pydict()
    assert rows["id"] == [2**53 + 1, 2] and rows["name"] == ["a", "bc"]
    assert rows["ra"][0] == 1.5 and (rows["ra"][1] is None or np.isnan(rows["ra"][1]))


def test_a_large_votable_is_refused_with_advice(tmp_path):
    Table({"id": np.arange(50_000)}).write(tmp_path / "a.vot", format="votable")
    with pytest.raises(InputError, match="convert it to FITS or Parquet"):
        open_table(tmp_path / "a.vot", Limits(max_votable_mb=1))


@pytest.mark.parametrize("content", ["<VOTABLE></VOTABLE>", "no xml", "<VOTABLE><RESOURCE><TABLE>"])
def test_what_is_no_votable_is_refused(tmp_path, content):
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(InputError, match=r"a\.xml"):
        open_table(tmp_path / "a.xml")


def write_parts(folder: Path, *tables: pa.Table) -> Path:
    folder.mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"part{number}.parquet")
    return folder


def test_parts_of_parquet_are_one_table_by_folder_or_glob_and_rows_are_counted_in_each(tmp_path):
    folder = write_parts(tmp_path / "p", pa.table({"id": [1, 2], "x": ["a", "b"]}), pa.table({"x": ["c"], "id": [3]}))
    for path in (folder, folder / "part*.parquet"):
        assert read(path, "id", "x").to_pydict() == {"id": [1, 2, 3], "x": ["a", "b", "c"]}
    with duckdb.connect() as con:
        pieces = open_table(folder).numbering(con).to_pylist()
    assert pieces == [
        {"first": 0, "file": str(folder / "part0.parquet"), "row": 1},
        {"first": 2, "file": str(folder / "part1.parquet"), "row": 1},
    ]


def test_parts_that_lack_a_column_or_hold_another_kind_of_thing_are_refused_if_it_is_needed(tmp_path):
    folder = write_parts(tmp_path / "p", pa.table({"id": [1], "x": [1], "y": [1]}), pa.table({"id": [2], "x": ["a"]}))
    assert read(folder, "id").to_pydict() == {"id": [1, 2]}
    with pytest.raises(InputError, match=r"column x of .* is BIGINT in .*part0.parquet and VARCHAR in .*part1.parquet"):
        read(folder, "x")
    with pytest.raises(InputError, match=r"column y of .* is missing in .*part1.parquet"):
        read(folder, "y")


def test_parts_whose_types_differ_harmlessly_are_one_table_and_rows_keep_their_places(tmp_path):
    decimals = pa.array([decimal.Decimal(2**63 + 1)], pa.decimal128(20, 0))
    folder = write_parts(
        tmp_path / "p",
        pa.table({"id": pa.array([1, 2], pa.int32()), "x": np.float32([1.5, 2]), "t": ["a", "b"], "n": pa.nulls(2)}),
        pa.table({"t": pa.array(["é"], pa.large_string()), "n": [3], "ID": pa.array([2**60], pa.int64()), "x": [0.1]}),
        pa.table({"id": pa.array([4], pa.int32()), "x": pa.array([4], pa.float32()), "t": ["d"], "n": pa.nulls(1)}),
        pa.table({"id": decimals, "x": [5], "t": pa.array(["e"]).dictionary_encode(), "n": [None]}),
    )  # fmt: skip
    rows = read(folder, "id", "x", "t", "n").to_pydict()
    assert sorted(zip(rows["id"], rows["x"], rows["t"], rows["n"], strict=True)) == [
        (1, 1.5, "a", None), (2, 2, "b", None), (4, 4, "d", None), (2**60, 0.1, "é", 3), (2**63 + 1, 5, "e", None),
    ]  # fmt: skip
    with duckdb.connect() as con:
        places = {row["file"]: row["first"] for row in open_table(folder).numbering(con).to_pylist()}
    for number, object_id in enumerate([1, 2**60, 4, 2**63 + 1]):
        assert rows["id"][places[str(folder / f"part{number}.parquet")]] == object_id


def test_units_and_frame_come_from_the_metadata_of_parquet_as_every_writer_puts_them(tmp_path):
    field = pa.field("ra", pa.float64(), metadata={"unit": "rad"})
    pq.write_table(pa.table([[1.5]], schema=pa.schema([field], metadata={"RADESYS": "FK4"})), tmp_path / "a.parquet")
    table = Table({"ra": [1.5]}, meta={"RADESYS": "FK4", "EQUINOX": 1950.0})
    table["ra"].unit = "rad"
    table.write(tmp_path / "b.parquet")
    about = {"ra": {"unit": "rad", "ucd": "", "utype": "", "description": ""}}
    table.write(tmp_path / "c.parquet", format="parquet.votable", metadata=about)
    for name, frame in (("a", "FK4"), ("b", "FK4 1950.0"), ("c", "")):
        opened = open_table(tmp_path / f"{name}.parquet")
        assert [column.unit for column in opened.columns] == ["rad"] and opened.frame == frame


def test_files_that_are_not_there_or_of_no_known_kind_are_refused(tmp_path):
    (tmp_path / "a.docx").write_text("x")
    (tmp_path / "a.parquet").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("none.csv", "there is no file"), ("none*.parquet", "there is no file"), ("a.docx", "has an unknown ending"),
        ("a.parquet", "cannot be read as Parquet"), ("empty", "holds no .parquet file"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            open_table(tmp_path / name)
