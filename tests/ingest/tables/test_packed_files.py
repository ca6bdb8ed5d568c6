"""Compressed files are told by their bytes, and damaged or malicious ones are refused as early as they can be."""

import bz2
import gzip
import lzma
import time

import duckdb
import pytest
from support.table_formats import field, two_objects, votable

from catbuilder.core.errors import InputError
from catbuilder.core.settings import Limits
from catbuilder.ingest.tables.open_table import open_table
from catbuilder.ingest.tables.packed_file import open_unpacked, packing

PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "": bytes}
KINDS = ("csv", "fits", "votable")


def count(path):
    """Number of rows of a file, each of which is read."""
    table = open_table(path)
    with duckdb.connect() as con, table.scan(con, ["COADD_OBJECT_ID"], lambda done, of: None) as scan:
        [(number,)] = con.execute(f"SELECT count(COADD_OBJECT_ID) FROM {scan.source}", scan.parameters).fetchall()
        return number


@pytest.mark.parametrize("packed", PACKERS)
def test_how_a_file_is_packed_is_told_by_its_bytes(tmp_path, packed):
    (tmp_path / "a").write_bytes(PACKERS[packed](b"hello"))
    assert packing(tmp_path / "a") == packed
    with open_unpacked(tmp_path / "a") as file:
        assert file.read() == b"hello"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", PACKERS)
def test_every_packing_of_every_format_gives_the_same_rows(tmp_path, packed, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(PACKERS[packed](two_objects(1, kind)))
    assert count(path) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", ["gzip", "bzip2", "xz"])
def test_a_packed_file_that_is_cut_short_is_refused(tmp_path, packed, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(PACKERS[packed](two_objects(1, kind))[:-6])
    with pytest.raises(InputError, match=r"is damaged|was cut short|cannot be read as"):
        count(path)


def test_a_scan_that_is_left_early_or_never_read_does_not_wait_for_the_rest(tmp_path):
    """A pipe holds 64 kB: who fills it would wait for ever for somebody who empties it."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id,x\n" + b"1,2\n" * 2_000_000, 1))
    started = time.monotonic()
    table = open_table(path)
    with duckdb.connect() as con, table.scan(con, ["id"], lambda done, of: None):
        pass
    with duckdb.connect() as con, table.scan(con, ["id"], lambda done, of: None) as scan, pytest.raises(duckdb.Error):
        con.execute(f"SELECT nothing FROM {scan.source}", scan.parameters)
    with duckdb.connect() as con, table.scan(con, ["id"], lambda done, of: None) as scan:
        assert con.execute(f"SELECT id FROM {scan.source} LIMIT 1", scan.parameters).fetchall() == [("1",)]
    assert time.monotonic() - started < 60


def test_the_limit_of_a_votable_holds_for_its_unpacked_bytes(tmp_path):
    bomb = votable(field("COADD_OBJECT_ID", "long"), [(1,)], before=" " * 3_000_000)
    path = tmp_path / "a.vot"
    path.write_bytes(gzip.compress(bomb.encode()))
    assert path.stat().st_size < 20_000
    with pytest.raises(InputError, match="more than 1 MB unpacked, which is the limit"):
        open_table(path, Limits(max_votable_mb=1))


def test_a_bomb_is_refused_before_it_is_unpacked_as_a_whole(tmp_path):
    path = tmp_path / "a.vot"
    with gzip.open(path, "wb", 1) as out:
        out.write(b"<VOTABLE>")
        for _ in range(300):
            out.write(b" " * 1_000_000)
    started = time.monotonic()
    with pytest.raises(InputError, match="which is the limit"):
        open_table(path, Limits(max_votable_mb=2))
    assert time.monotonic() - started < 10
