"""A release: its files, that other tools read them, and that any change is found."""

import csv
import hashlib
import json
import re
import shutil
import subprocess

import pyarrow as pa
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from support.workspaces import ask, cli, failed, process, surveyed

from catbuilder.catalogue.backup import backup, restore
from catbuilder.catalogue.schema import Column
from catbuilder.catalogue.workspace import Workspace
from catbuilder.decisions.certificates import read_certificates
from catbuilder.exports.cds import _decimals, cds_fields
from catbuilder.exports.release import release
from catbuilder.exports.release_check import verify_release, verify_releases
from catbuilder.exports.rows import ExportColumn

SETTINGS = """
[release]
title = "Galaxies of the Dark Energy Survey, sorted by shape"
licence = "CC-BY-4.0"
publisher = "Zenodo"
doi = "10.5281/zenodo.1234567"
creators = [
    {family = "Author", given = "A.", orcid = "0000-0002-1825-0097", affiliation = "An Observatory"},
    {family = "Müller-Große team", affiliation = "An Observatory"},
]
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The surveyed workspace with release 1.0 of its first round and 1.1 of its second."""
    workspace = with_settings(surveyed(tmp_path_factory.mktemp("release") / "ws"))
    release(workspace, "1.0", at=1)
    workspace = with_doi(workspace, "10.5281/zenodo.7654321")
    release(workspace, "1.1", where="survey = 'des'", formats=("fits", "parquet", "cds", "votable", "csv"))
    return workspace


def with_settings(workspace):
    file = workspace.path / "catbuilder.toml"
    file.write_text(file.read_text() + SETTINGS)
    return Workspace.open(workspace.path)


def with_doi(workspace, doi):
    """The workspace with another DOI, or without any."""
    file = workspace.path / "catbuilder.toml"
    file.write_text(re.sub("doi = .*", f'doi = "{doi}"', file.read_text()))
    return Workspace.open(workspace.path)


def folder(workspace, version="1.1"):
    return workspace.path / "releases" / version


def test_every_file_is_there_read_only_and_under_its_checksum(released):
    there = {file.name for file in folder(released).iterdir()}
    assert there == {
        "ACKNOWLEDGEMENTS.md", "CHANGES.md", "CITATION.cff", "ReadMe", "SHA256SUMS", "catalog.csv", "catalog.dat",
        "catalog.fits", "catalog.parquet", "catalog.vot", "certificates.json", "certificates.md", "data-dictionary.csv",
        "data-dictionary.md", "datacite.json", "metrics.csv", "provenance.json", "selection.sql",
    }  # fmt: skip
    assert all(file.stat().st_mode & 0o222 == 0 for file in folder(released).iterdir())
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder(released), check=True)
    assert verify_release(released, "1.1") == len(there) - 1


def test_formats_agree_with_the_catalogue_as_of_the_round(released):
    wanted = ask(released, "SELECT object_id, label FROM catalog_at(1) ORDER BY survey, object_id")
    rows = fits.getdata(folder(released, "1.0") / "catalog.fits")
    assert [(int(row["object_id"]), row["label"] or None) for row in rows] == wanted
    assert len(Table.read(folder(released) / "catalog.parquet")) == 11
    (text,) = [file.read_text() for file in folder(released).glob("selection.sql")]
    done = cli("-w", released.path, "sql", text, "--format", "csv")
    assert done.code == 0, done.err
    assert [int(row["object_id"]) for row in csv.DictReader(done.out.splitlines())] == list(range(1, 12))


def test_the_fixed_width_file_is_read_by_its_readme(released):
    """astropy reads CDS tables by the byte-by-byte description alone."""
    lines = (folder(released) / "ReadMe").read_text(encoding="ascii").splitlines()
    assert max(map(len, lines)) <= 80 and "Author A., Muller-Gro?e team" in "".join(lines)
    table = Table.read(folder(released) / "catalog.dat", readme=folder(released) / "ReadMe", format="ascii.cds")
    wanted = ask(released, "SELECT * FROM catalog_at(2) WHERE survey = 'des' ORDER BY object_id")
    names = [name for name, *_ in ask(released, "DESCRIBE SELECT * FROM catalog")]
    assert table.colnames == names
    for got, row in zip(table, wanted, strict=True):
        for name, value in zip(names, row, strict=True):
            found = None if got[name] is None or str(got[name]) == "--" else got[name]
            if isinstance(value, bool):
                assert bool(found) == value
            elif isinstance(value, float):
                assert found == pytest.approx(value, abs=1e-4 if name.startswith("mag") else 2e-8)
            else:
                assert (found if found is None else type(value)(found)) == value, name
    assert str(table["ra"].unit) == "deg" and "Right ascension" in table["ra"].description


def test_a_missing_value_is_blank_and_a_long_id_keeps_its_digits(tmp_path):
    workspace = with_settings(surveyed(tmp_path / "ws"))
    release(workspace, "a", where="survey = 'sdss'", formats=("cds",))
    table = Table.read(
        folder(workspace, "a") / "catalog.dat", readme=folder(workspace, "a") / "ReadMe", format="ascii.cds"
    )
    assert list(table["object_id"]) == [5, 2**53 + 1]
    assert table["mag_r"][0] == 17.5 and table["mag_r"].mask[1]
    # the papers are about these rows, and say of the others only that networks were trained on them
    cited = yaml.safe_load((folder(workspace, "a") / "CITATION.cff").read_text())
    assert "2 objects of sdss, by networks trained on other catalogues' labels" in cited["abstract"]
    thanks, _, trained = (folder(workspace, "a") / "ACKNOWLEDGEMENTS.md").read_text().partition("None of its objects")
    assert "Sloan" in thanks and "Dark Energy" not in thanks and "Dark Energy Survey" in trained


def test_the_citation_says_who_what_and_when(released):
    cited = yaml.safe_load((folder(released) / "CITATION.cff").read_text())
    assert cited["authors"][0] == {
        "family-names": "Author", "given-names": "A.", "affiliation": "An Observatory",
        "orcid": "https://orcid.org/0000-0002-1825-0097",
    }  # fmt: skip
    assert cited["authors"][1] == {"name": "Müller-Große team"}
    assert cited["cff-version"] == "1.2.0" and cited["type"] == "dataset" and cited["version"] == "1.1"
    assert {"message", "title", "license", "doi", "date-released"} <= cited.keys()


def test_the_datacite_metadata_are_valid(released):
    from datacite import schema45  # a second to import

    record = json.loads((folder(released) / "datacite.json").read_text())
    schema45.validator.validate(record)
    assert record["creators"][1] == {
        "name": "Müller-Große team", "nameType": "Organizational", "affiliation": [{"name": "An Observatory"}],
    }  # fmt: skip
    relations = {one["relationType"]: one["relatedIdentifier"] for one in record["relatedIdentifiers"]}
    assert relations == {"References": "arXiv:1812.02183", "IsNewVersionOf": "10.5281/zenodo.1234567"}


def test_a_large_release_leaves_out_the_fixed_width_file_unless_it_is_asked_for(tmp_path, monkeypatch):
    workspace = with_doi(with_settings(surveyed(tmp_path / "ws")), "")
    monkeypatch.setattr("catbuilder.exports.release.CDS_ROWS", 12)
    report = release(workspace, "large")
    assert "catalog.dat" not in report.files and "catalog.fits" in report.files
    assert any("catalog.dat was left out" in sentence for sentence in report.sentences())
    assert "catalog.dat" not in (folder(workspace, "large") / "ReadMe").read_text()
    small = release(workspace, "small", where="survey = 'des'")
    asked = release(workspace, "asked", formats=("cds",))
    for one in (small, asked):
        assert "catalog.dat" in one.files and not any("left out" in sentence for sentence in one.sentences())


def test_changes_since_the_release_before_are_told(released):
    assert "This is the first release." in (folder(released, "1.0") / "CHANGES.md").read_text()
    told = (folder(released) / "CHANGES.md").read_text()
    assert "Changes since version 1.0." in told and "1 added, 1 retracted" in told
    assert "Rows kept: survey = 'des'; before: every object." in told
    assert "round 2 scores it elliptical at 0.6000" in told
    assert "of the whole catalogue, not only the rows of this release" in told


def test_a_release_that_goes_back_tells_the_way_and_one_of_the_same_round_that_nothing_changed(tmp_path):
    workspace = with_doi(with_settings(surveyed(tmp_path / "ws")), "")
    for version, at in (("1", 2), ("2", 1)):
        release(workspace, version, at=at, formats=("csv",))
    told = (folder(workspace, "2") / "CHANGES.md").read_text()
    assert "from round 1 of this release to round 2 of version 1" in told and "1 added, 1 retracted" in told
    assert "no label or prediction has changed" not in told and "whole catalogue" not in told
    shutil.rmtree(folder(workspace, "1").rename(tmp_path / "gone"))
    release(workspace, "3", at=1, formats=("csv",))
    assert "no label or prediction has changed" in (folder(workspace, "3") / "CHANGES.md").read_text()


def test_a_doi_is_of_one_release(tmp_path):
    workspace = with_settings(surveyed(tmp_path / "ws"))
    release(workspace, "1", formats=("csv",))
    failed(cli("-w", workspace.path, "release", "2"), "zenodo.1234567 is that of release 1", "reserve another")
    assert not folder(workspace, "2").exists()


def test_certificates_are_as_of_the_round(tmp_path):
    workspace = with_settings(surveyed(tmp_path / "ws"))
    with workspace.recording("a certificate and its audit") as recording:
        recording.con.execute(
            "INSERT INTO certificates BY NAME SELECT 1 AS round, 'c1' AS certificate, 'des' AS survey, "
            "'spiral' AS class, 'certified' AS verdict, 1 AS batch, 0.9 AS threshold, 0.1 AS alpha, 1 AS batch_errors, "
            "0.05 AS delta, 0.05 AS delta_spent, 0 AS errors, 40 AS n"
        )
        recording.con.execute("UPDATE labels SET certificate = 'c1' WHERE kind = 'label' AND object_id = 6")
        recording.con.execute(
            "INSERT INTO audits BY NAME SELECT 'c1' AS certificate, 'broken' AS verdict, 1 AS sampled, "
            "1 AS answered, 1 AS wrong, 2 AS round, 9 AS run"
        )
    (then,), (now,) = read_certificates(workspace, at=1).to_pylist(), read_certificates(workspace).to_pylist()
    assert (then["standing"], then["audit"]) == (1, None) and (now["standing"], now["audit"]) == (0, "broken")
    release(workspace, "1", at=1, formats=("csv",))
    assert "no audit" in (folder(workspace, "1") / "certificates.md").read_text()
    assert json.loads((folder(workspace, "1") / "certificates.json").read_text())[0]["standing"] == 1


def test_fixed_width_numbers_are_in_fixed_point():
    (name,) = [ExportColumn(Column("p_spiral", "", "", ""), "double", 1, True)]
    texts = _decimals(cds_fields([name])[0], pa.array([0.0, 1e-7, -1e-7, 1.0, -12.5, None]))
    assert texts.to_pylist() == ["0.00000000", "0.00000010", "-0.00000010", "1.00000000", "-12.50000000", None]


def test_the_acknowledgements_name_the_surveys_of_the_rows(released):
    text = (folder(released) / "ACKNOWLEDGEMENTS.md").read_text()
    assert "Dark Energy Survey, DR1: https://" in text and "Sloan" not in text, "it keeps objects of des alone"
    assert "Galaxy Zoo" not in text


def test_releases_are_listed(released):
    done = cli("-w", released.path, "release", "--format", "json")
    listed = [(row["version"], row["round"], row["objects"]) for row in json.loads(done.out)]
    assert listed == [("1.0", 1, 13), ("1.1", 2, 11)]


def test_a_release_is_never_overwritten(released):
    before = hashlib.sha256((folder(released) / "SHA256SUMS").read_bytes()).digest()
    failed(cli("-w", released.path, "release", "1.1"), "exists", "another version")
    assert hashlib.sha256((folder(released) / "SHA256SUMS").read_bytes()).digest() == before
    assert not list((released.path / "releases").glob(".*draft"))


def test_any_change_of_a_release_is_found(released, tmp_path):
    copy = tmp_path / "ws"
    shutil.copytree(released.path, copy)
    assert "files match their checksums" in cli("-w", copy, "release", "1.0", "--verify").out
    text = copy / "releases" / "1.0" / "metrics.csv"
    text.chmod(0o644)
    text.write_text(text.read_text() + " ")
    failed(cli("-w", copy, "release", "1.0", "--verify"), "metrics.csv is not what was released")
    text.unlink()
    failed(cli("-w", copy, "release", "1.0", "--verify"), "metrics.csv is missing")
    (copy / "releases" / "1.1" / "extra.fits").touch()
    failed(cli("-w", copy, "release", "1.1", "--verify"), "extra.fits was not released")
    failed(cli("-w", copy, "release", "9", "--verify"), "there is no release 9", "1.0, 1.1")
    (copy / "releases" / "1.1" / "SHA256SUMS").unlink()
    failed(cli("-w", copy, "release", "1.1", "--verify"), "SHA256SUMS is missing", "from a copy")
    failed(cli("-w", copy, "release", "--verify"), "metrics.csv is missing", "SHA256SUMS is missing")


def test_all_releases_are_verified_at_once(released):
    assert verify_releases(released).keys() == {"1.0", "1.1"}
    assert cli("-w", released.path, "release", "--verify").out.count("files match their checksums") == 2


def test_a_backup_has_the_releases_and_puts_them_back(released, tmp_path):
    copy = tmp_path / "ws"
    shutil.copytree(released.path, copy)
    backup(Workspace.open(copy), tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "new")
    assert verify_releases(Workspace.open(tmp_path / "new")) == verify_releases(released)
    assert not (tmp_path / "new" / "releases" / "1.1" / "catalog.fits").stat().st_mode & 0o222
    shutil.rmtree(copy / "releases" / "1.0")
    damaged = copy / "releases" / "1.1" / "catalog.dat"
    damaged.chmod(0o644)
    damaged.write_bytes(b"other")
    report = backup(Workspace.open(copy), tmp_path / "backup")
    assert "releases/1.1/catalog.dat" in report.damaged
    said = restore(tmp_path / "backup", copy)
    assert "releases/1.1/catalog.dat is put back; the damaged one is kept as catalog.dat.damaged-1." in said
    assert verify_releases(Workspace.open(copy)) == verify_releases(released), "1.0 was lost, and kept in the backup"


def test_a_release_without_authors_or_of_an_odd_kind_is_refused(tmp_path):
    workspace = surveyed(tmp_path / "ws")
    failed(cli("-w", workspace.path, "release", "1"), "title and creators and licence", "[release]")
    with_settings(workspace)
    failed(cli("-w", workspace.path, "release", "../1"), "is not a version")
    failed(cli("-w", workspace.path, "release", "1", "--formats", "xls"), "no format xls", "fits")
    failed(cli("-w", workspace.path, "release", "1", "--at", "7"), "no round 7")
    failed(cli("-w", workspace.path, "release", "1", "--where", "colour > 1"), "is not one condition")
    assert not any((workspace.path / "releases").glob("[!.]*"))


def test_a_killed_release_leaves_nothing_and_is_made_by_the_same_command(tmp_path):
    workspace = with_settings(surveyed(tmp_path / "ws"))
    killed = process("-w", workspace.path, "release", "1", "--formats", "csv", CATBUILDER_FAULT="SHA256SUMS.written")
    assert killed.code == -9, killed.err
    assert not folder(workspace, "1").exists() and list((workspace.path / "releases").glob(".1.draft"))
    assert cli("-w", workspace.path, "release", "2", "--formats", "csv").code == 0
    assert not list((workspace.path / "releases").glob(".*.draft")), "whichever version was killed"
    assert cli("-w", with_doi(workspace, "").path, "release", "1", "--formats", "csv").code == 0
    assert verify_release(workspace, "1") > 10
