"""Files that once broke a parser, or that are made to: each is refused in one sentence, or set aside as a row.

Nothing here may take more memory than a file of its kind needs. Inputs that fuzzing found stand at the end.
"""

import csv
import gzip
import io
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.new_workspace import create_workspace
from support.workspaces import ask, cli, surveyed, write_csv, write_images

from catbuilder.core.errors import ConfigError, InputError, WeightsError, WorkspaceError
from catbuilder.core.recipe import load_recipe
from catbuilder.core.resources import query
from catbuilder.core.safe_text import for_spreadsheet, from_spreadsheet, in_one_line
from catbuilder.core.settings import Limits, WorkspaceConfig, load_settings
from catbuilder.core.stamps import StampReader, require_stamp_size
from catbuilder.core.user_csv import OBJECT_ID, BadValue, CsvColumn, parse_object_id, read_table
from catbuilder.ingest.picture import read_picture
from catbuilder.ingest.tables.open_table import open_table
from catbuilder.ingest.tiles.tile_file import BadTile, read_tile_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "fuzz"))
from fuzz_parsers import make_input, measured
from fuzz_targets import TARGETS


def refused(path: Path, data: bytes, limits: Limits | None = None) -> str:
    """Why a survey's table is refused, when its columns are looked at or its rows are read."""
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        table = open_table(path, limits)
        with _connection() as con, table.scan(con, [c.name for c in table.columns], lambda done, of: None) as scan:
            con.execute(f"SELECT count(*) FROM {scan.source}", scan.parameters).fetchall()
    assert str(error.value).isprintable() and str(path) in str(error.value)
    return str(error.value)


def _connection():
    import duckdb

    return duckdb.connect(config={"threads": 1})


# --- images


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def reason(tmp_path: Path, data: bytes) -> str | None:
    (tmp_path / "a.img").write_bytes(data)
    return read_picture(tmp_path / "a.img", 32).reason


def test_an_image_is_turned_as_exif_says_and_viewers_show_it(tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = 220  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    (tmp_path / "a.img").write_bytes(saved(Image.fromarray(pixels), "jpeg", exif=exif))
    turned = read_picture(tmp_path / "a.img", 32).pixels
    assert turned is not None and turned[:, 20:].mean() > 200 and turned[:, :12].mean() < 20


def test_damaged_exif_turns_nothing(tmp_path):
    data = saved(Image.fromarray(np.full((20, 20), 90, np.uint8)), "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert reason(tmp_path, data) is None


def test_an_animated_png_is_refused_since_nobody_knows_which_picture_is_meant(tmp_path):
    frames = [Image.fromarray(np.full((20, 20), level, np.uint8)) for level in (10, 200)]
    data = saved(frames[0], "png", save_all=True, append_images=frames[1:])
    assert "several images" in (reason(tmp_path, data) or "")


def test_a_jpeg_of_hundreds_of_scans_is_refused_before_it_is_decoded(tmp_path):
    data = saved(Image.fromarray(np.zeros((64, 64, 3), np.uint8)), "jpeg", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert reason(tmp_path, data) is None
    assert "scans" in (reason(tmp_path, data[:-2] + 200 * last + data[-2:]) or "")


def test_the_limit_of_pixels_is_a_setting(tmp_path):
    workspace = create_workspace(tmp_path / "ws")
    with open(workspace.path / "catbuilder.toml", "a") as file:
        file.write("\n[limits]\nmax_image_pixels = 500\n")
    images = write_images(tmp_path / "images", ("1.png",))
    table = write_csv(tmp_path / "t.csv", ("object_id", "file"), (1, "1.png"))
    assert cli("-w", workspace.path, "ingest", "images", images, "--table", table, "--survey", "des").code == 0
    ((quality, why),) = ask(workspace, "SELECT quality, reason FROM stamps")
    assert quality == "unreadable" and "above the limit of 500" in why


# --- FITS


def header_of(**cards: object) -> bytes:
    """A header of these cards, in their order, with END and filling."""
    lines = "".join(f"{name:<8}= {value!s:>20}".ljust(80) for name, value in cards.items()) + "END".ljust(80)
    return lines.ljust(-(-len(lines) // 2880) * 2880).encode()


PRIMARY = header_of(SIMPLE="T", BITPIX=8, NAXIS=0)


def table_of(**cards: object) -> bytes:
    usual = {"XTENSION": "'BINTABLE'", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1, "PCOUNT": 0, "GCOUNT": 1,
             "TFIELDS": 1, "TTYPE1": "'OBJID'", "TFORM1": "'K'"}  # fmt: skip
    return PRIMARY + header_of(**(usual | cards)) + bytes(2880)


def twice(card: str, value: object, data: bytes) -> bytes:
    """The file with a card of its last header once more at that header's end."""
    end = data.rindex(b"END".ljust(80))
    return data[:end] + f"{card:<8}= {value:>20}".ljust(80).encode() + b"END".ljust(80) + data[end + 160 :]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (PRIMARY[:-80].replace(b"END", b"   ") + 5_000_000 * b" ", "no END within"),
        (PRIMARY + b"XTENSION= 'IMAGE   '".ljust(80) + 100 * b" ", "cut short inside the header"),
        (header_of(SIMPLE="T", BITPIX=8, NAXIS=1, NAXIS1=-2880) + PRIMARY, "NAXIS1 is -2880"),
        (header_of(SIMPLE="T", BITPIX=8, NAXIS=2, NAXIS1=2**62, NAXIS2=2**62), "bytes of data"),
        (header_of(SIMPLE="T", BITPIX=8, NAXIS=10**9), "NAXIS is 1000000000"),
        (header_of(SIMPLE="T", BITPIX=7, NAXIS=0), "BITPIX is 7"),
        (PRIMARY + 1001 * header_of(XTENSION="'IMAGE'", BITPIX=8, NAXIS=0, PCOUNT=0, GCOUNT=1), "first 1,000 headers"),
        (twice("NAXIS", 10**18, table_of()), "NAXIS occurs 2 times"),  # astropy counted up to the second one
        (table_of(NAXIS=1, NAXIS2="'GZIP_2'"), "NAXIS of the table is 1"),
        (table_of(TFIELDS=10**9), "TFIELDS is 1000000000"),
        (table_of(TFIELDS="'a'"), "TFIELDS is 'a'"),
        (table_of(NAXIS1=2 * 10**9, TFORM1="'2000000000A'"), "limits.max_row_bytes"),
        (table_of(TFORM1="'9999K'"), "compressed or damaged"),
        (table_of(TFORM1="'ZZ'"), "has a damaged column"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fits_table_that_promises_what_it_is_not_is_refused(tmp_path, data, words):
    assert words in refused(tmp_path / "a.fits", data)
    assert words in refused(tmp_path / "a.fits.gz", gzip.compress(data, 1))


def test_a_column_without_a_name_gets_one_and_the_others_are_read(tmp_path):
    (tmp_path / "a.fits").write_bytes(table_of(TTYPE1="'   '"))
    assert [column.name for column in open_table(tmp_path / "a.fits").columns] == ["column 1"]


def tile(path: Path, header: bytes, length: int) -> str:
    """Why a tile with this header and so many bytes, which are not written, is refused."""
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + length)
    with pytest.raises(BadTile) as error:
        read_tile_file(path, "g")
    return str(error.value)


def test_a_tile_of_holes_with_rows_of_gigabytes_is_refused_by_its_side(tmp_path):
    wide = header_of(SIMPLE="T", BITPIX=-32, NAXIS=2, NAXIS1=10**8, NAXIS2=100)
    assert "limits.max_tile_side" in tile(tmp_path / "t_g.fits", wide, 4 * 10**10)


def test_a_tile_that_says_twice_how_many_axes_it_has_is_refused(tmp_path):
    image = header_of(SIMPLE="T", BITPIX=8, NAXIS=2, NAXIS1=10, NAXIS2=10)
    assert "NAXIS occurs 2 times" in tile(tmp_path / "t_g.fits", twice("NAXIS", 10**18, image), 2880)


def test_a_tile_compressed_in_one_block_of_a_gigapixel_is_refused(tmp_path):
    cards = {"XTENSION": "'BINTABLE'", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1, "PCOUNT": 0, "GCOUNT": 1,
             "TFIELDS": 1, "TTYPE1": "'COMPRESSED_DATA'", "TFORM1": "'1PB(8)'", "ZIMAGE": "T", "ZBITPIX": -32,
             "ZNAXIS": 2, "ZNAXIS1": 40_000, "ZNAXIS2": 40_000, "ZTILE1": 40_000, "ZTILE2": 40_000,
             "ZCMPTYPE": "'GZIP_1'"}  # fmt: skip
    assert "blocks of 1,600,000,000 pixels" in tile(tmp_path / "t_g.fits", PRIMARY + header_of(**cards), 2880)


@pytest.mark.parametrize("card", ["BANDS", "MAGZERO", "SURVEY"])
def test_a_card_that_cannot_be_read_is_told_before_its_value_is_needed(tmp_path, card):
    cards = {"SIMPLE": "T", "BITPIX": 8, "NAXIS": 3, "NAXIS1": 10, "NAXIS2": 10, "NAXIS3": 3, "BANDS": "'grz'"}
    assert "Unparsable card" in tile(tmp_path / "cube.fits", header_of(**(cards | {card: "'gr"})), 2880)


def test_megabytes_behind_the_last_data_are_not_searched_for_a_header(tmp_path):
    image = header_of(SIMPLE="T", BITPIX=8, NAXIS=2, NAXIS1=10, NAXIS2=10) + bytes(2880)
    assert "belong to no header" in tile(tmp_path / "t_g.fits", image, 10**10)


# --- VOTable


VOTABLE = """<?xml version="1.0"?>{doctype}<VOTABLE version="1.3"><RESOURCE><TABLE>
<FIELD name="OBJID" datatype="long"/>{fields}<DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>"""
ROWS = "<TABLEDATA><TR><TD>1</TD></TR></TABLEDATA>"


@pytest.mark.parametrize("href", ["file:///etc/passwd", "http://127.0.0.1:9/x", "ftp://127.0.0.1/x"])
@pytest.mark.parametrize("kind", ["BINARY", "BINARY2", "FITS"])
def test_a_votable_that_sends_its_reader_elsewhere_is_refused(tmp_path, href, kind):
    stream = f'<{kind}><STREAM href="{href}"/></{kind}>'
    text = VOTABLE.format(doctype="", fields="", data=stream)
    assert "not followed" in refused(tmp_path / "a.vot", text.encode())
    second = f"{VOTABLE.format(doctype='', fields='', data=ROWS)[:-10]}<RESOURCE><TABLE><DATA>{stream}</DATA></TABLE>"
    assert "not followed" in refused(tmp_path / "b.vot", f"{second}</RESOURCE></VOTABLE>".encode())


def test_a_votable_of_entities_that_unfold_is_refused(tmp_path):
    laughs = "".join(f'<!ENTITY l{n} "{10 * f"&l{n - 1};"}">' for n in range(1, 10))
    text = VOTABLE.format(doctype=f'<!DOCTYPE v [<!ENTITY l0 "lol">{laughs}]>', fields="", data=ROWS)
    assert "entities" in refused(tmp_path / "a.vot", text.encode())
    outside = VOTABLE.format(doctype='<!DOCTYPE v [<!ENTITY x SYSTEM "file:///etc/passwd">]>', fields="", data=ROWS)
    assert "entities" in refused(tmp_path / "b.vot", outside.encode())


def test_a_votable_in_an_encoding_that_nobody_knows_is_refused(tmp_path):
    text = VOTABLE.format(doctype="", fields="", data=ROWS).replace('"1.0"?', '"1.0" encoding="utf-ninety"?')
    assert "cannot be read as a VOTable" in refused(tmp_path / "a.vot", text.encode())


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ('<FIELD name="RA" datatype="double"/>', "<TR><TD>1</TD><TD>2</TD><TD>3</TD></TR>"),
        ('<FIELD name="RA" datatype="double"/>', "<TR/>"),
        ('<GROUP><FIELD name="RA" datatype="double"/></GROUP>', "<TR><TD>1</TD></TR>"),
    ],
)
def test_a_votable_row_with_another_number_of_cells_than_there_are_columns_is_set_aside(tmp_path, fields, row):
    data = f"<TABLEDATA>{row}<TR><TD>7</TD><TD>8</TD></TR></TABLEDATA>"
    (tmp_path / "a.vot").write_text(VOTABLE.format(doctype="", fields=fields, data=data))
    table = open_table(tmp_path / "a.vot")
    with _connection() as con:
        with table.scan(con, ["OBJID", "RA"], lambda done, of: None) as scan:
            assert con.execute(f"SELECT * FROM {scan.source}").fetchall() == [(7, 8.0)]
        con.execute(query(table.malformed))
        [(number, reason)] = con.execute("SELECT row, reason FROM malformed").fetchall()
    assert number == 1 and "where the table has 2 columns" in reason


# --- CSV and Parquet


def test_a_line_of_far_more_cells_than_the_header_is_refused_before_it_costs_time(tmp_path):
    """Each needless cell cost DuckDB a copy of the line: 15 s and more than a gigabyte for 40,000 of them."""
    rows = b"a,b\n1,2\n3," + b"4.5," * 40_000 + b"\n5,6\n"
    words = "row 3 of {} has more than 1,002 cells where the header has 2; remove it"
    assert words.format(tmp_path / "a.csv") in refused(tmp_path / "a.csv", rows)
    assert words.format(tmp_path / "a.csv.gz") in refused(tmp_path / "a.csv.gz", gzip.compress(rows, 1))


def test_commas_in_quotes_part_no_cells(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'a,b\n1,"' + 5000 * b"," + b'"\n')
    table = open_table(tmp_path / "a.csv")
    with _connection() as con, table.scan(con, ["a", "b"], lambda done, of: None) as scan:
        assert con.execute(f"SELECT length(b) FROM {scan.source}", scan.parameters).fetchall() == [(5000,)]


def test_parquet_with_a_column_whose_name_is_no_text_is_refused(tmp_path):
    out = io.BytesIO()
    pq.write_table(pa.table({"OBJID": [1], "list": [[1]]}), out)
    assert "cannot be read as Parquet" in refused(tmp_path / "a.parquet", out.getvalue().replace(b"list", b"li\xfft"))


def test_a_table_of_a_million_columns_is_refused_at_once_and_in_short(tmp_path):
    header = b"c," * 999_999 + b"c"
    assert "1,000,000 columns" in refused(tmp_path / "a.csv", header + b"\n1\n")
    (tmp_path / "b.csv").write_bytes(header + b"\n1\n")
    with pytest.raises(InputError, match=r"1,000,000 columns.*limits.max_columns"):
        read_table(tmp_path / "b.csv", [OBJECT_ID])
    (tmp_path / "c.csv").write_bytes(",".join(f"c{n}" for n in range(4000)).encode() + b"\n1\n")
    with pytest.raises(InputError) as error:
        read_table(tmp_path / "c.csv", [OBJECT_ID])
    assert "and 3,980 more" in str(error.value) and len(str(error.value)) < 1000


def test_parquet_of_too_many_columns_is_refused(tmp_path):
    out = io.BytesIO()
    pq.write_table(pa.table({f"c{n}": [1] for n in range(30)}), out)
    assert "30 columns" in refused(tmp_path / "a.parquet", out.getvalue(), Limits(max_columns=20))


@pytest.mark.parametrize("length", [5_000_000, 50_000_000])
def test_a_line_without_an_end_is_refused_plain_and_gzipped(tmp_path, length):
    line = b"a" * length
    assert "a line of more than" in refused(tmp_path / "a.csv", line)
    assert "a line of more than" in refused(tmp_path / "a.csv.gz", gzip.compress(line, 1))


def test_a_table_of_ones_own_that_is_too_large_for_the_memory_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"object_id\n" + b"12345678901234567890\n" * 50_000)
    with pytest.raises(InputError, match=r"more than 1 MB.*limits.max_csv_mb"):
        read_table(tmp_path / "a.csv", [OBJECT_ID], limits=Limits(max_csv_mb=1))


def test_a_pipe_may_be_read_but_not_for_ever(tmp_path):
    with pytest.raises(InputError, match="more than 1 MB"):
        read_table(Path("/dev/zero"), [OBJECT_ID], limits=Limits(max_csv_mb=1))


@pytest.mark.parametrize("digits", [20, 4001, 5000, 100_000])
def test_an_id_of_any_number_of_digits_is_set_aside_by_a_short_reason(tmp_path, digits):
    with pytest.raises(BadValue, match="does not fit 64 bits") as error:
        parse_object_id("9" * digits)
    assert len(str(error.value)) < 200
    (tmp_path / "a.csv").write_bytes(b"object_id\n" + b"9" * digits + b"\n")
    assert len(read_table(tmp_path / "a.csv", [OBJECT_ID]).rejections) == 1


def test_mixed_types_bom_crlf_quotes_and_formulas_are_rows_like_others(tmp_path):
    text = '\ufeffobject_id,label\r\n1,spiral\r\n"=1+1",spiral\r\n"@SUM(A1)","a\r\nb"\r\n-5,spiral\r\n'
    (tmp_path / "a.csv").write_bytes(text.encode())
    table = read_table(tmp_path / "a.csv", [CsvColumn("object_id"), CsvColumn("label")])
    assert [row["object_id"] for row in table.rows] == ["1", "=1+1", "@SUM(A1)", "-5"]
    assert [row.number for row in table.rows] == [2, 3, 4, 6]


@given(text=st.text(max_size=30) | st.sampled_from(["=1+1", "@SUM(A1)", "-0.5", "+5", "'=x", "''-a", "\t=", "-", "'"]))
def test_no_text_is_a_formula_once_it_is_written_and_each_comes_back(text):
    cell = for_spreadsheet(text)
    assert from_spreadsheet(cell) == text
    if cell.startswith(("=", "+", "-", "@")):
        float(cell)


def test_an_annotator_called_like_a_formula_is_exported_harmless_and_imported_again(tmp_path):
    workspace = surveyed(tmp_path / "ws")
    formula = '=HYPERLINK("http://example.org","x")'
    table = write_csv(tmp_path / "t.csv", ("object_id", "survey", "label", "annotator"), (8, "des", "spiral", formula))
    assert cli("-w", workspace.path, "labels", "import", table, "--source", "human").code == 0
    assert cli("-w", workspace.path, "labels", "export", tmp_path / "out.csv").code == 0
    with open(tmp_path / "out.csv", newline="") as file:
        assert f"'{formula}" in [row["annotator"] for row in csv.DictReader(file)]
    again = read_table(tmp_path / "out.csv", [CsvColumn("annotator")])
    assert formula in [row["annotator"] for row in again.rows]


# --- settings, stamps, models


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + 20_000 * "[", "nested too deeply"),
        ("members = " + 5000 * "9", "not valid TOML"),
        ("#" * 1_000_001, "bytes"),
        ("\ufeffname = 1", "'name' is 1"),
        ("name = 1\n[network]\n" + "a." * 3000 + "b = 1", "'name' is 1"),
        (f"name = 'a'\n[network]\nbackbone = 'b'\n[training]\nstages = []\n{'k' * 5000} = 1", "unknown key"),
    ],
    ids=["nested", "digits", "large", "mark", "dotted", "key"],
)
def test_settings_made_to_break_their_reader_are_refused_in_short(tmp_path, text, words):
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words) as error:
        load_recipe(path)
    assert str(error.value).isprintable() and len(str(error.value)) < 1000
    with pytest.raises(ConfigError):
        load_settings(path, WorkspaceConfig)


def test_settings_that_are_no_plain_file_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.toml")
    for path in (tmp_path / "a.toml", tmp_path):
        with pytest.raises(ConfigError, match="not a plain file"):
            load_settings(path, WorkspaceConfig)


@pytest.mark.parametrize(
    "change", ["a." * 20_000 + "b=1", f"training.stages.{'9' * 5000}.epochs=1", f"members={'[' * 5000}", "\x1b[2J=1"],
    ids=["deep", "number", "nested", "escape"],
)  # fmt: skip
def test_a_change_made_to_break_its_reader_is_refused_in_short(change):
    with pytest.raises(ConfigError) as error:
        load_recipe("demo", [change])
    assert str(error.value).isprintable() and len(str(error.value)) < 1000


def shard(header: str, length: int = 3 * 16 * 16 * 3) -> bytes:
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(length)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        shard("{'descr': '|u1', 'fortran_order': False, 'shape': (3, 16, 16, 3)"),
        shard("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 16, 16, 3), }"),
        shard("{'descr': '|u1', 'fortran_order': False, 'shape': (-3, 16, 16, 3), }"),
        shard("{'descr': '|O', 'fortran_order': False, 'shape': (3, 16, 16, 3), }"),
        shard("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 16, 16, 3), }", 8 * 768),
        shard("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }"),
        shard("(" * 50),
    ],
)
def test_a_damaged_shard_is_named(tmp_path, data):
    path = tmp_path / "stamps" / "des" / "a.npy"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(WorkspaceError, match="are damaged"):
        StampReader(tmp_path, ["stamps/des/a.npy"], [0])
    with pytest.raises(WorkspaceError, match="are damaged"):
        require_stamp_size(tmp_path, 16)


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04\x95", (2**63).to_bytes(8, "little"), (2).to_bytes(8, "little") + b"{}"]
)
def test_what_is_no_model_is_refused_and_never_unpickled(tmp_path, data):
    from catbuilder.network.checkpoint import load_model
    from catbuilder.network.model_card import read_model_card

    (tmp_path / "a.safetensors").write_bytes(data)
    for read in (load_model, read_model_card):
        with pytest.raises(WeightsError, match="is not a catbuilder model"):
            read(tmp_path / "a.safetensors")


def test_a_shard_of_fewer_stamps_than_were_recorded_is_named(tmp_path):
    path = tmp_path / "stamps" / "des" / "a.npy"
    path.parent.mkdir(parents=True)
    np.save(path, np.zeros((2, 16, 16, 3), np.uint8))
    with pytest.raises(WorkspaceError, match=r"are damaged \(it holds 2 stamps but 3 were recorded\)"):
        StampReader(tmp_path, ["stamps/des/a.npy"] * 2, [0, 2])


def test_weights_with_a_header_of_any_length_are_refused_in_short(tmp_path):
    from catbuilder.network.starting_weights import _from_file

    header = f'"{"x" * 5000}"'.encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(WeightsError, match="is not a safetensors file") as error:
        _from_file(tmp_path / "a.safetensors")
    assert len(str(error.value)) < 500


# --- what is said


@pytest.mark.parametrize(
    "text", ["a\nb", "\x1b[31mred", "tab\tand\x00zero", "\u202eright to left", "\ud800", "x" * 9999]
)
def test_foreign_text_is_one_printable_line(text):
    assert in_one_line(text).isprintable() and len(in_one_line(text)) <= 210


# --- a short run of the fuzzer


CHEAP = [name for name in TARGETS if name != "model"]
INPUTS = {"image": 400, "user csv": 400, "labels csv": 400, "recipe": 300, "recipe --set": 300, "settings": 300}


@pytest.mark.parametrize("name", CHEAP)
def test_spoiled_files_end_in_no_traceback_and_take_no_memory(name, tmp_path):
    """What `scripts/fuzz/fuzz_parsers.py` does at length, with other inputs than it starts from."""
    target = TARGETS[name]
    seeds = target.seeds()
    path = tmp_path / target.file
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(INPUTS.get(name, 40)):
        path.write_bytes(make_input(name, seeds, 12345, number))
        outcome, why, peak_mb = measured(target, path)
        assert outcome in ("read", "refused") and peak_mb < 1024, f"{name} {number}: {why}"
