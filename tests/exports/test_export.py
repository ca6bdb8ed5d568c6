"""Exports in every format, read back by the tools that astronomers use."""

import base64
import csv
import math
import shutil
import warnings

import astropy.io.votable as votable
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.new_workspace import create_workspace
from support.workspaces import SIZE, add_objects, ask, cli, failed, surveyed

from catbuilder.catalogue.round_records import NOW
from catbuilder.catalogue.schema import Column, data_dictionary
from catbuilder.core.errors import CatalogueDamaged, InputError
from catbuilder.core.progress import Reporter
from catbuilder.core.version import __version__
from catbuilder.exports.binary_rows import RowFormat
from catbuilder.exports.export import export
from catbuilder.exports.hats import write_hats
from catbuilder.exports.rows import ExportColumn, export_columns, open_selection

ORDERED = "SELECT * FROM catalog ORDER BY survey, object_id"
QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two closed rounds; read only."""
    return surveyed(tmp_path_factory.mktemp("export") / "ws")


@pytest.fixture(scope="module")
def dictionary(survey):
    with survey.reading() as con:
        return data_dictionary(con, "catalog")


def dicts(workspace, query=ORDERED):
    with workspace.reading() as con:
        return con.sql(query).to_arrow_table().to_pylist()


def read_votable(path):
    """The document, parsed with every departure from the standard an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return votable.parse(path, verify="exception")


def votable_rows(path):
    """Rows of a VOTable as dictionaries, what its mask says is missing as None."""
    array = read_votable(path).get_first_table().array
    missing = array.mask
    return [
        {name: None if missing[name][i] else array[name][i] for name in array.dtype.names} for i in range(len(array))
    ]


def missing_in_votable(path, columns):
    """What the masks of BINARY2 say is missing: a list a row, a boolean a column."""
    stream = path.read_text(encoding="utf-8").split('encoding="base64">')[1].split("<")[0]
    data = np.frombuffer(base64.b64decode(stream), np.uint8)
    rows = data.reshape(len(votable_rows(path)), -1)
    return np.unpackbits(rows[:, : -(-columns // 8)], axis=1)[:, :columns].astype(bool).tolist()


def same(got, wanted):
    """Equal as values, a float32 NaN to a NaN."""
    if isinstance(wanted, float) and math.isnan(wanted):
        return got is None or bool(np.isnan(got))  # astropy masks every NaN of a VOTable
    if wanted is None or got is None:
        return got is wanted or got == ""  # astropy does not hand on the mask of text
    return got == (np.float32(wanted) if isinstance(got, np.float32) else wanted)


# --- VOTable


def test_a_votable_describes_its_columns_and_its_provenance(survey, dictionary, tmp_path):
    export(survey, tmp_path / "out.vot")
    document = read_votable(tmp_path / "out.vot")
    fields = document.get_first_table().fields
    assert [(f.name, str(f.unit or ""), f.ucd, f.description) for f in fields] == [
        (column.name, column.unit, column.ucd, column.description) for column in dictionary
    ]
    infos = {info.name: info.value for info in document.resources[0].infos}
    assert (infos["CATBVERS"], infos["ROUND"], infos["SEED"], infos["RADESYS"]) == (__version__, "2", "7", "ICRS")
    assert document.resources[0].coordinate_systems[0].system == "ICRS"


def test_a_votable_holds_every_value_and_distinguishes_null_from_nan(survey, tmp_path):
    export(survey, tmp_path / "out.vot")
    rows = dicts(survey)
    for got, wanted in zip(votable_rows(tmp_path / "out.vot"), rows, strict=True):
        assert all(same(got[name], value) for name, value in wanted.items()), (got, wanted)
    assert 2**53 + 1 in [row["object_id"] for row in rows]


@pytest.mark.parametrize("name", ["out.vot", "out.parquet", "out.csv"])
def test_an_empty_selection_has_columns_and_no_rows(survey, tmp_path, name):
    assert export(survey, tmp_path / name, where="false").rows == 0
    formats = {"out.vot": "votable", "out.parquet": "parquet.votable", "out.csv": "ascii.csv"}
    table = Table.read(tmp_path / name, format=formats[name])
    assert len(table) == 0 and "calibrated_confidence" in table.colnames


# --- FITS-plus


def test_a_fits_plus_file_carries_a_votable_of_its_metadata_and_is_fits_to_everyone_else(survey, dictionary, tmp_path):
    path = tmp_path / "out.fits"
    done = cli("-w", survey.path, "export", path, "--fits-plus")
    assert done.code == 0 and "13 objects" in done.out
    with fits.open(path, checksum=True) as hdus:
        assert all(hdu.verify_checksum() == 1 and hdu.verify_datasum() == 1 for hdu in hdus)
        header = hdus[0].header
        assert (header["VOTMETA"], header["BITPIX"], header["NAXIS"]) == (True, 8, 1) and header["ROUND"] == 2
        (tmp_path / "meta.vot").write_bytes(hdus[0].data.tobytes())
    fields = read_votable(tmp_path / "meta.vot").get_first_table().fields
    assert [field.ucd for field in fields] == [column.ucd for column in dictionary]
    assert len(Table.read(path)) == 13


# --- VOParquet


def test_voparquet_opens_in_astropy_with_units_and_descriptions(survey, dictionary, tmp_path):
    export(survey, tmp_path / "out.parquet")
    metadata = pq.read_schema(tmp_path / "out.parquet").metadata
    assert metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    assert b'name="MODELSHA"' in metadata[b"IVOA.VOTable-Parquet.content"]
    table = Table.read(tmp_path / "out.parquet", format="parquet.votable")
    assert table["ra"].unit == "deg" and table["ra"].description == "Right ascension (ICRS)"
    assert table.colnames == [column.name for column in dictionary]
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == dicts(survey)


# --- CSV


def test_csv_keeps_ids_exact_null_empty_and_ends_lines_as_its_standard_says(survey, tmp_path):
    export(survey, tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_bytes()
    assert text.count(b"\r\n") == 14 and text.endswith(b"\r\n")
    header, *rows = csv.reader(text.decode().splitlines())
    wanted = ask(survey, ORDERED)
    assert [int(row[1]) for row in rows] == [row[1] for row in wanted]
    assert [row[header.index("label")] for row in rows] == [r[header.index("label")] or "" for r in wanted]


# --- HATS


def test_hats_passes_its_validator_strictly_and_opens_in_lsdb(survey, tmp_path):
    import lsdb  # takes seconds to import
    from hats.io.validation import is_valid_catalog

    report = export(survey, tmp_path / "sky.hats")
    assert (report.rows, report.without_position) == (11, 2) and "2 objects without a position" in report.sentences()[1]
    assert is_valid_catalog(tmp_path / "sky.hats", strict=True)
    catalog = lsdb.open_catalog(tmp_path / "sky.hats")
    found = catalog.compute()
    wanted = {row["object_id"]: row for row in dicts(survey) if row["ra"] is not None}
    assert sorted(found["object_id"]) == sorted(wanted)
    assert all(wanted[n]["ra"] == ra for n, ra in zip(found["object_id"], found["ra"], strict=True))
    assert len(catalog.cone_search(ra=12.0, dec=-1.0, radius_arcsec=5).compute()) == 1


def test_hats_splits_cells_until_none_holds_too_many(survey, tmp_path):
    import hats
    from hats.io.validation import is_valid_catalog

    with open_selection(survey, tmp_path / "sky.hats", None, None, QUIET) as selection:
        assert write_hats(selection, tmp_path / "sky.hats", most_rows=3) == 2
    assert is_valid_catalog(tmp_path / "sky.hats", strict=True)
    read = hats.read_hats(tmp_path / "sky.hats")
    files = list((tmp_path / "sky.hats" / "dataset").rglob("*.parquet"))
    counts = [pq.read_metadata(file).num_rows for file in files]
    assert sum(counts) == 11 and max(counts) <= 3 and len({p.order for p in read.get_healpix_pixels()}) > 1
    for file in files:
        cells = pq.read_table(file, columns=["_healpix_29"], partitioning=None)[0].to_pylist()
        order, pixel = (int(file.parts[i].split("=")[1].removesuffix(".parquet")) for i in (-3, -1))
        assert cells == sorted(cells) and {cell >> (2 * (29 - order)) for cell in cells} == {pixel}


def test_a_folder_that_is_not_ours_is_never_replaced_and_one_that_is_ours_is(survey, tmp_path):
    import hats

    target = tmp_path / "sky.hats"
    target.mkdir()
    export(survey, target)
    assert export(survey, target, where="object_id = 1").rows == 1
    assert hats.read_hats(target).catalog_info.total_rows == 1
    shutil.rmtree(target)
    target.mkdir()
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="no HATS catalogue of catbuilder"):
        export(survey, target)
    assert (target / "thesis.tex").read_text() == "years of work" and list(tmp_path.iterdir()) == [target]


def test_hats_without_a_position_is_refused_and_leaves_nothing(survey, tmp_path):
    failed(cli("-w", survey.path, "export", tmp_path / "no.hats", "--where", "ra IS NULL"), "has a position")
    assert not list(tmp_path.iterdir())


# --- all formats


@pytest.mark.parametrize("name", ["out", "out.txt", "out.fits.gz", "out.xml"])
def test_a_name_without_a_format_is_refused_with_the_names_that_have_one(survey, tmp_path, name):
    failed(cli("-w", survey.path, "export", tmp_path / name), ".fits, .vot, .parquet or .csv", ".hats")


def test_fits_plus_is_asked_of_fits_alone(survey, tmp_path):
    failed(cli("-w", survey.path, "export", tmp_path / "out.vot", "--fits-plus"), "--fits-plus", "out.vot")


@pytest.mark.parametrize("name", ["out.vot", "out.parquet", "out.csv", "sky.hats"])
def test_a_condition_reads_no_files_whatever_the_format(survey, tmp_path, name):
    where = "object_id IN (SELECT 1 FROM read_text('/etc/passwd'))"
    failed(cli("-w", survey.path, "export", tmp_path / name, "--where", where), "--where")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_export_left_is_cleared_by_the_next(survey, tmp_path):
    scratch = tmp_path / ".out.csv.scratch"
    (scratch / "spill").mkdir(parents=True)
    (scratch / "rows.arrow").write_bytes(b"half")
    export(survey, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == [tmp_path / "out.csv"]


def test_a_condition_that_fails_half_way_is_an_error_and_leaves_no_file(survey, tmp_path):
    for name in ("out.fits", "out.csv", "sky.hats"):
        where = "CASE WHEN object_id > 10 THEN error('no more') ELSE true END"
        failed(cli("-w", survey.path, "export", tmp_path / name, "--where", where), "--where", "no more")
    assert not list(tmp_path.iterdir())


def test_the_metadata_hold_the_number_of_rows(survey, tmp_path):
    for name in ("out.vot", "out.fits", "out.parquet"):
        export(survey, tmp_path / name, where="survey = 'des' AND object_id < 5", fits_plus=name == "out.fits")
    count = len(Table.read(tmp_path / "out.fits"))
    assert 0 < count < 13
    documents = [
        (tmp_path / "out.vot").read_bytes(),
        fits.getdata(tmp_path / "out.fits", 0).tobytes(),
        pq.read_schema(tmp_path / "out.parquet").metadata[b"IVOA.VOTable-Parquet.content"],
    ]
    assert all(f'nrows="{count}"'.encode() in document for document in documents)


def test_a_text_longer_than_its_column_is_an_error_and_never_cut():
    column = ExportColumn(Column("name", "", "", ""), "text", 3, True)
    for text in ("abcd", "abé☉"):
        batch = pa.record_batch([pa.array([None, text])], names=["name"])
        for utf16 in (False, True):
            form = RowFormat({}, utf16)
            with pytest.raises(CatalogueDamaged, match="name holds a text of 4 characters"):
                form.rows(batch, [column], np.zeros(2, form.row_type([column])))


def test_no_text_is_longer_than_its_stated_width(survey):
    with survey.reading() as con:
        for at_round in (1, NOW):
            columns = {c.name: c for c in export_columns(con, at_round) if c.kind == "text"}
            for name, column in columns.items():
                longest = con.execute(f"SELECT max(length({name})) FROM catalog_at({at_round})").fetchall()[0][0]
                assert (longest or 1) <= column.width, name
    assert {"label", "certificate", "test_set", "firewall", "split", "quality"} < set(columns)


@pytest.fixture(scope="module")
def any_workspace(tmp_path_factory):
    return create_workspace(tmp_path_factory.mktemp("any") / "ws", stamp_size=SIZE)


NUMBER = st.one_of(st.none(), st.floats(width=32))


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an export takes too long to shrink what it fails on
)  # fmt: skip
@given(
    ids=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=18, unique=True),
    names=st.lists(st.one_of(st.none(), st.text(max_size=9)), min_size=18, max_size=18),
    magnitudes=st.lists(NUMBER, min_size=18, max_size=18),
    radii=st.lists(NUMBER, min_size=18, max_size=18),
)
def test_any_values_survive_the_round_trip(any_workspace, tmp_path, ids, names, magnitudes, radii):
    n = len(ids)
    with any_workspace.recording("any") as recording:
        recording.con.execute("DELETE FROM objects")
        add_objects(
            recording, "des", ids, name=names[:n], mag_g=magnitudes[:n], radius_arcsec=radii[:n],
            ra=[10.0 + i for i in range(n)], dec=[0.0] * n,
        )  # fmt: skip
    rows = dicts(any_workspace)
    for suffix in (".vot", ".parquet", ".csv", ".fits"):
        export(any_workspace, tmp_path / f"out{suffix}")
    assert missing_in_votable(tmp_path / "out.vot", len(rows[0])) == [[v is None for v in row.values()] for row in rows]
    for got, wanted in zip(votable_rows(tmp_path / "out.vot"), rows, strict=True):
        name = wanted["name"]
        if name is not None:  # VOTable has no character beyond the basic plane, and ends text at its first NUL
            wanted["name"] = "".join(c if c <= "\uffff" else "\ufffd" for c in name).split("\0")[0]
        assert all(same(got[key], value) for key, value in wanted.items()), (got, wanted)
        wanted["name"] = name
    parquet = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert all(same(a[key], b[key]) for a, b in zip(parquet, rows, strict=True) for key in b)
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        assert [int(row["object_id"]) for row in csv.DictReader(file)] == sorted(ids)
    with fits.open(tmp_path / "out.fits", checksum=True, memmap=False) as hdus:
        assert hdus[1].data["object_id"].tolist() == sorted(ids) and hdus[1].verify_checksum() == 1
