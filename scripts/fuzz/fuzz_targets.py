"""What is fuzzed: each parser of foreign files with files that it reads, and how to give it one.

A parser may read the file, reject rows of it, or refuse it by a `CatbuilderError` whose message is one printable line.
Anything else that is raised is a finding.
"""

import io
import random
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import Table
from fuzz_mutations import Mutation, spoil_card, spoil_chunk, spoil_tensors
from PIL import Image

from catbuilder.active_learning.answer_meanings import parse_answer_classes
from catbuilder.active_learning.answers import label_columns, read_label_rows
from catbuilder.active_learning.labelled_objects import KnownObjects
from catbuilder.active_learning.platform_answers import read_annotations
from catbuilder.active_learning.platform_layouts import Layout
from catbuilder.core.errors import CatbuilderError, InputError
from catbuilder.core.recipe import load_recipe
from catbuilder.core.resources import query, rounds_folder
from catbuilder.core.settings import Limits, WorkspaceConfig, load_settings
from catbuilder.core.stamps import StampReader, require_stamp_size
from catbuilder.core.tasks import Place
from catbuilder.core.user_csv import OBJECT_ID, number_column, read_table
from catbuilder.ingest.picture import read_picture
from catbuilder.ingest.tables.archives import GALAXY_ZOO
from catbuilder.ingest.tables.open_table import open_table
from catbuilder.ingest.tables.survey_catalogue import table_of
from catbuilder.ingest.tables.typed_columns import find_columns, load_rows
from catbuilder.ingest.tiles.cutouts import Share, Strip, cut_share
from catbuilder.ingest.tiles.tile_folder import read_tiles
from catbuilder.inspection.sandbox import one_reading_statement

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.coadd_tile import tile_wcs

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"  # optional real files
_LARGEST_SEED = 6_000  # bytes: a spoiled line among a thousand good ones costs a thousand times as much


@dataclass(frozen=True)
class Target:
    """A parser: the name that its files get, files that it reads, and how it is called."""

    file: str
    seeds: Callable[[], list[bytes]]
    parse: Callable[[Path], None]
    words: tuple[bytes, ...] = ()
    structured: Mutation | None = None
    share: int = 10  # of all inputs, in parts of the sum


# --- images


def _images() -> list[bytes]:
    rng = np.random.default_rng(0)
    rgb, grey = rng.integers(0, 255, (24, 20, 3), np.uint8), rng.integers(0, 255, (17, 17), np.uint8)
    exif = Image.Exif()
    exif[0x112] = 6
    found = []
    for pixels, kind, options in (
        (rgb, "png", {}), (grey, "png", {}), (rgb, "jpeg", {}), (grey, "jpeg", {}),
        (rgb, "jpeg", {"progressive": True}),
        (rgb, "jpeg", {"exif": exif}), (np.dstack([rgb, np.full((24, 20), 255, np.uint8)]), "png", {}),
        (grey.astype(np.uint16) * 256, "png", {}), (rgb, "png", {"interlace": 1}), (rgb, "gif", {}), (rgb, "bmp", {}),
    ):  # fmt: skip
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, kind, **options)
        found.append(out.getvalue())
    for pictures in (Image.fromarray(rgb).convert("CMYK"), Image.fromarray(rgb).convert("P")):
        out = io.BytesIO()
        pictures.save(out, "jpeg" if pictures.mode == "CMYK" else "png")
        found.append(out.getvalue())
    return found + _real("**/*.jpg", 3) + _real("**/*.png", 2)


def _image(path: Path) -> None:
    picture = read_picture(path, 64)
    if (picture.pixels is None) != (picture.reason is not None):
        raise AssertionError(f"neither pixels nor a reason: {picture.flags}")
    if picture.pixels is not None and picture.pixels.shape != (64, 64, 3):
        raise AssertionError(f"a stamp of {picture.pixels.shape}")
    if picture.reason is not None:
        raise InputError(picture.reason)  # as a row it is set aside


# --- tables


def _fits_tables() -> list[bytes]:
    rng = np.random.default_rng(0)
    columns = [
        fits.Column("OBJID", "K", array=np.arange(5) + 2**53), fits.Column("RA", "D", array=rng.uniform(0, 360, 5)),
        fits.Column("DEC", "D", array=rng.uniform(-90, 90, 5)),
        fits.Column("NVOTE", "J", array=[1, 2, -99, 4, 5], null=-99),
        fits.Column("P_EL_DEBIASED", "E", array=[0.1, np.nan, 1, 2, 3]),
        fits.Column("P_CS_DEBIASED", "E", array=[0.1] * 5),
        fits.Column("NAME", "12A", array=["a", "b", "", "d e", "x" * 12]),
        fits.Column("FLAG", "L", array=[True, False, True, False, True]),
        fits.Column("U2", "I", array=np.array([1, 2, 3, 4, 65535], np.uint16), bzero=2**15),
        fits.Column("VECTOR", "3E", array=np.zeros((5, 3))),
        fits.Column("HEAP", "PJ()", array=[[1], [1, 2], [], [4], [5]]),
    ]  # fmt: skip
    tables = [fits.BinTableHDU.from_columns(columns), fits.BinTableHDU.from_columns(columns[:6], nrows=0)]
    texts = [
        fits.Column("OBJID", "I19", array=np.arange(3) + 2**53), fits.Column("RA", "D25.17", array=[1.5, 2.5, 3.5]),
        fits.Column("DEC", "F8.3", array=[1.5, 2.5, 3.5]), fits.Column("NVOTE", "I4", array=[1, 2, 3], null="---"),
        fits.Column("P_EL_DEBIASED", "E14.6", array=[0.1] * 3), fits.Column("P_CS_DEBIASED", "F4.2", array=[0.1] * 3),
        fits.Column("NAME", "A8", array=["abc", "", "d e"]),
    ]  # fmt: skip
    log = fits.BinTableHDU.from_columns([fits.Column("NIGHT", "J", array=[1, 2])], name="LOG")
    log.header["RADESYS"], log.header["OBSERVER"] = "FK5", "J?rg"
    lists = [
        [fits.PrimaryHDU(), tables[0]], [fits.PrimaryHDU(np.zeros((4, 4))), fits.ImageHDU(), tables[1]],
        [fits.PrimaryHDU(), fits.TableHDU.from_columns(texts)], [fits.PrimaryHDU(), log, tables[0]],
    ]  # fmt: skip
    written = [_bytes_of(hdus) for hdus in lists]
    return [*written, written[3].replace(b"J?rg", b"J\xfcrg").replace(b"d e", "dé".encode())]


def _bytes_of(hdus: Sequence[object]) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList(list(hdus)).writeto(out)
    return out.getvalue()


_GZ1 = (
    b"OBJID,RA,DEC,NVOTE,P_EL,P_CW,P_ACW,P_EDGE,P_DK,P_MG,P_CS,P_EL_DEBIASED,P_CS_DEBIASED,SPIRAL,ELLIPTICAL,UNCERTAIN\r\n"
    b"587727178986356823,00:00:00.41,-10:22:25.7,59,0.61,0.034,0,0.153,0.153,0.051,0.186,0.61,0.186,0,0,1\r\n"
    b"587727227300741210,0.5,-9,18,0.611,0,0.167,0.222,0,0,0.389,0.203,0.797,1,0,0\r\n"
)


def _survey_csvs() -> list[bytes]:
    quoted = (
        b'# a comment\nOBJID,RA,DEC,NVOTE,P_EL_DEBIASED,P_CS_DEBIASED,note\n1,2,3,4,0.5,0.5,"a ""b"", c\nd"\n2,,,,,,\n'
    )
    commented = b"# made by numpy\n# " + _GZ1.replace(b"\r\n", b"\n")
    return [commented, _GZ1, b"\xef\xbb\xbf" + _GZ1.replace(b"\r\n", b"\n"), quoted, _GZ1.replace(b"0.61", b"=1+1")]


def _parquets() -> list[bytes]:
    columns = {
        "OBJID": pa.array([2**53 + 1, 2, 3], pa.int64()), "RA": [1.0, 2, None], "DEC": [1.0, 2, 3], "NVOTE": [1, 2, 3],
        "P_EL_DEBIASED": [0.1, 0.2, float("nan")], "P_CS_DEBIASED": ["0.1", "b", None], "LIST": [[1], [], None],
    }  # fmt: skip
    found = []
    for options in (
        {},
        {"compression": "zstd"},
        {"use_dictionary": False, "compression": "none"},
        {"compression": "gzip"},
    ):
        out = io.BytesIO()
        pq.write_table(pa.table(columns), out, **options)
        found.append(out.getvalue())
    return found


def _votables() -> list[bytes]:
    rows = Table.read(_GZ1.decode().splitlines(), format="ascii.csv")
    found = []
    for kind in ("tabledata", "binary", "binary2"):
        out = io.BytesIO()
        from_table(rows).to_xml(out, tabledata_format=kind)
        found.append(out.getvalue())
    said = (
        b'<INFO name="QUERY_STATUS" value="OVERFLOW">cut</INFO><COOSYS ID="c" system="eq_FK5" equinox="J2000"/>'
        b'<TABLE ID="t" name="log"><FIELD name="n" datatype="int" arraysize="1"><VALUES null="-9"/></FIELD><DATA>'
        b"<TABLEDATA><TR><TD>0x1f</TD></TR><TR><TD>99999999999</TD></TR></TABLEDATA></DATA></TABLE>"
    )
    place = found[0].index(b"<TABLE")
    return [*found, found[0][:place] + said + found[0][place:]]


def _ecsvs() -> list[bytes]:
    rows = Table.read(_GZ1.decode().splitlines(), format="ascii.csv")
    rows["RA"].unit, rows["P_EL_DEBIASED"].unit = "hourangle", "%"
    rows.meta["RADESYS"] = "FK4"
    found = []
    for delimiter in (" ", ","):
        out = io.StringIO()
        rows.write(out, format="ascii.ecsv", delimiter=delimiter)
        found.append(out.getvalue().encode())
    return found


def _survey_table(path: Path) -> None:
    """What an ingest does with a table before it compares it with the catalogue."""
    table = open_table(path, choice=table_of(GALAXY_ZOO, None))
    layout = find_columns(table, GALAXY_ZOO, [])
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET memory_limit = '1GB'")
        con.execute("SET enable_progress_bar = false")
        for statement in con.extract_statements(query("ingest/cell_macros")):
            con.execute(statement)
        con.create_function("healpix_cell", lambda ra, dec: ra, ["double", "double"], "double", type="arrow")
        load_rows(con, table, layout, (0, 1), "another release", lambda done, of: None)
        table.numbering(con)


# --- tables of one's own


def _csvs() -> list[bytes]:
    written = [
        b"object_id,file,ra,dec,label,split\n1,a.png,10.5,-1,elliptical,train\nJ0102,b.jpg,,,spiral,\n007,c.png,nan,0,,pool\n",
        b'\xef\xbb\xbfobject_id,label,survey,confidence,annotator,source\r\n1,"spiral",des,0.9,"O\'N, ""E""",human\r\n',
        b'object_id,label,annotator\n"=1+1",elliptical,"=HYPERLINK(""http://x"")"\n+5,spiral,@x\n-5,spiral,\n',
        b"object_id,ra,dec,radius_arcsec\n9223372036854775807,1,2,3\n5.87724E+17,1,2,3\n",
    ]
    return written + _real("**/*.csv", 2)


def _user_csv(path: Path) -> None:
    numbers = (("ra", 0.0, 360.0), ("dec", -90.0, 90.0), ("radius_arcsec", 0.0, 1e4))
    table = read_table(path, [OBJECT_ID, *(number_column(*limits) for limits in numbers)])
    _all_printable([rejection.reason for rejection in table.rejections])


def _label_csv(path: Path) -> None:
    columns = label_columns(WorkspaceConfig().classes, ("des", "sdss"))
    table = read_table(path, columns, unique=("survey", "object_id", "source", "annotator"))
    read_label_rows(
        table,
        "imported",
        None,
        KnownObjects({("des", 1): 1, ("sdss", 1): 1, ("des", 5): 1}, {1: ["des", "sdss"], 5: ["des"]}),
    )
    _all_printable([rejection.reason for rejection in table.rejections])


def _answers_of(layout: Layout) -> Callable[[Path], None]:
    """Read a platform's answers as `labels import` does, before it looks for the objects in the catalogue."""
    classes = WorkspaceConfig().classes
    meanings = parse_answer_classes(["Smooth=elliptical", "Features=spiral", "Star=none", "0=spiral"], classes)

    def parse(path: Path) -> None:
        subjects = path.with_name("subjects.csv")
        subjects.write_text('subject_id,metadata,locations\n5,"{""#object_id"": 1, ""survey"": ""des""}",{}\n')
        found = read_annotations(
            path, layout, meanings, Limits(), survey="des", subjects=subjects if layout == "zooniverse" else None
        )
        found.table.parse(label_columns(classes, ["des"]))
        read_label_rows(found.table, "human", "des", KnownObjects({("des", 1): 1}, {1: ["des"]}))
        _all_printable([rejection.reason for rejection in found.table.rejections])
        _all_printable([*found.sentences, *found.warnings], longest=20_000)

    return parse


def _classifications() -> list[bytes]:
    from support.platform_exports import classification, task, write_classifications

    combo = {"task": "T9", "task_label": None, "value": [task("Smooth"), task(["Ring", "Bar"], "T2", "Anything odd?")]}
    drawing = task([{"tool": 0, "x": 1.5, "y": 2.5, "details": [{"value": 0}]}], "T5", "Mark it")
    rows = [
        classification("ann", 1, task("Smooth"), drawing), classification("not-logged-in-a", 1, combo),
        classification("ann", 1, task("Features"), when="2026-11-21T10:00:00Z"),
        classification("", 5, task(None), {"error": "task cannot be exported"}, fields={"file": "x.png"}),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        return [write_classifications(Path(folder) / "c.csv", rows).read_bytes()]


_REDUCTIONS = (
    b"subject_id,workflow_id,task,reducer,data.smooth,data.features,data.aggregation_version\n"
    b"5,1,T0,question_reducer,7.0,2.0,4.1.0\n6,1,T0,question_reducer,,3.0,4.1.0\n",
    b'id,reducer_key,workflow_id,subject_id,subgroup,data\n1,votes,1,5,_default,"{""0"": 3, ""1"": 1}"\n',
    b"subject_id,workflow_id,task,reducer,data\n5,1,T0,question_reducer,\"OrderedDict([('smooth', 3)])\"\n",
    b"subject_id,workflow_id,task,reducer,data.most_likely,data.num_votes,data.agreement\n"
    b"5,1,T0,question_consensus_reducer,smooth,7,0.7\n",
)
_LABEL_STUDIO = (
    b'[{"id": 1, "data": {"survey": "des", "object_id": "1"}, "annotations": [{"id": 1, '
    b'"completed_by": {"email": "a@b"}, "created_at": "2026-11-20T10:00:00Z", "result": [{"type": "choices", '
    b'"from_name": "label", "value": {"choices": ["spiral"]}}]}, '
    b'{"id": 2, "completed_by": 7, "was_cancelled": true, "result": []}]}]',
    b'[{"image": "x", "survey": "des", "object_id": 1, "label": {"choices": ["spiral", "elliptical"]}, "annotator": 1, '
    b'"annotation_id": 1, "lead_time": 3.2}, {"object_id": "1", "label": "Smooth", "annotator": "a@b"}]',
)
_LABEL_STUDIO_TABLES = (
    b'"annotation_id","annotator","created_at","label","lead_time","object_id","survey"\n'
    b'1,7,"2026-11-20T10:00:00Z","{""choices"": [""spiral"", ""Smooth""]}",3.2,1,"des"\n2,8,"","spiral",1,1,"des"\n',
    b"annotation_id\tannotator\tchoice\tobject_id\n1\t7\tspiral\t1\n",
)


def _all_printable(reasons: Sequence[str], longest: int = 1000) -> None:
    for reason in reasons:
        if not reason.isprintable() or len(reason) > longest:
            raise AssertionError(f"a reason that is no printable line: {reason[:300]!r}")


# --- tiles


def _tiles() -> list[bytes]:
    rng = np.random.default_rng(0)
    header = tile_wcs(40).to_header()
    header["MAGZERO"], header["BANDS"], header["SURVEY"] = 22.5, "grz", "des"
    cube = rng.normal(0, 1, (3, 40, 40)).astype(np.float32)
    cube[0, 3:6] = np.nan
    plain = fits.PrimaryHDU(cube, header)
    whole = (np.nan_to_num(cube) * 100).astype(np.int16)
    scaled = fits.PrimaryHDU(whole, header)
    scaled.header["BSCALE"], scaled.header["BZERO"] = 0.01, 5.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed = [
            fits.CompImageHDU(np.nan_to_num(cube), header, compression_type=kind, tile_shape=(1, 1, 40))
            for kind in ("RICE_1", "GZIP_2")
        ]
    mask = fits.ImageHDU(np.zeros((40, 40), np.int16), header, name="MSK")
    return [_bytes_of(hdus) for hdus in ([plain], [scaled, mask], *([fits.PrimaryHDU(), one] for one in packed))]


def _tile(path: Path) -> None:
    """Read it with the files beside it and cut two objects out of it, as an ingest does."""
    tiles, _ = read_tiles(sorted(path.parent.glob("*.fits*")), "des")
    for tile in tiles:
        tile.circle()
        mirrored = tile.mirrored
        x, y = tile.pixels([20.0, 20.001], [-10.0, -10.001])
        tile.edge_distance(x, y)
        strip = Strip(tile.planes, tile.bands, tile.shape, (20.0, 3.0), (20.0, 2.0), (12.0, 30.0), 32, mirrored)
        cut_share(Share((strip,), ((False, False),), path.parent, "des"), Place())


# --- settings, models, stamps, queries


def _recipes() -> list[bytes]:
    return [path.read_bytes() for path in sorted(rounds_folder().glob("*.toml"))]


def _recipe(path: Path) -> None:
    load_recipe(path)


def _changed_recipe(path: Path) -> None:
    """The text as a change by `--set`."""
    text = path.read_bytes().decode("utf-8", "replace")
    load_recipe("demo", text.split("\n", 1))


def _settings() -> list[bytes]:
    return [
        b'classes = ["elliptical", "spiral"]\nstamp_size = 64\nrecipe = "paper"\n[surveys.sdss]\nrelease = "DR7"\n'
        b'id_column = "objID"\n[stamps]\nmin_px = 24\nradii = {des = 2.25}\n[limits]\nmax_columns = 5000\n',
    ]


def _workspace_settings(path: Path) -> None:
    load_settings(path, WorkspaceConfig)


def _shards() -> list[bytes]:
    found = []
    for version in ((1, 0), (2, 0)):
        out = io.BytesIO()
        np.lib.format.write_array(out, np.zeros((3, 16, 16, 3), np.uint8), version=version)
        found.append(out.getvalue())
    return found


def _shard(path: Path) -> None:
    require_stamp_size(path.parents[2], 16)
    StampReader(path.parents[2], [str(path.relative_to(path.parents[2]))], [0]).read([0])


def _models() -> list[bytes]:
    import torch

    from catbuilder.network.checkpoint import save_model, state_copy
    from catbuilder.network.galaxy_network import build_network
    from catbuilder.network.model_card import CardPlan, ModelCard

    recipe = load_recipe("demo", ["network.backbone=test_efficientnet", "network.hidden=4", "network.weights=none"])
    torch.manual_seed(0)
    network = build_network(recipe.network, 2)
    plan = CardPlan(recipe_sha256="0", manifest_sha256="0", classes=("a", "b"), seed=0, round=1, ranks=1, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_model(path, state_copy(network), ModelCard(recipe=recipe, plan=plan, best_epoch=1, history=[]))
        small = Path(folder) / "small.safetensors"
        save_model(small, {"a": torch.zeros(2, 3)}, ModelCard(recipe=recipe, plan=plan, best_epoch=1, history=[]))
        return [path.read_bytes(), small.read_bytes(), small.read_bytes()]


def _model(path: Path) -> None:
    from catbuilder.network.checkpoint import load_model
    from catbuilder.network.model_card import is_whole, read_model_card
    from catbuilder.network.starting_weights import _from_file

    is_whole(path)
    refusals = []
    for read in (read_model_card, load_model, _from_file):
        try:
            read(path)
        except CatbuilderError as error:
            refusals.append(error)
    _all_printable([str(error) for error in refusals])
    if refusals:
        raise refusals[0]


_QUERIES = (
    "SELECT object_id, label FROM catalog WHERE ra BETWEEN 1 AND 2 ORDER BY confidence DESC LIMIT 5",
    "WITH a AS (SELECT 1 AS b UNION ALL SELECT 2) SELECT count(*) FILTER (b > 1) OVER (PARTITION BY b) FROM a;",
    "EXPLAIN ANALYZE SELECT * FROM read_csv('/etc/passwd')", "EXPLAIN (FORMAT json) SELECT 'a''b' -- c\n",
    "COPY (SELECT 1) TO 'x.csv'", "SELECT {'a': [1, 2]}['a'][1], list_transform([1], lambda x: x + 1), $1, ?",
    "COPY (PIVOT t ON a) TO 'x.csv'", "CREATE TABLE x AS PIVOT t ON a", "EXPLAIN PIVOT t ON a",
    "/* a */ PIVOT t ON a USING sum(b)", "SELECT * EXCLUDE (a) REPLACE (1 AS b) FROM t TABLESAMPLE 5%",
)  # fmt: skip
# of a PIVOT whose columns are still to be found, which is parsed as several statements; so is a COPY of one
_FIRST_WORDS = re.compile(
    r"[\s(]*(?:EXPLAIN\s+(?:ANALY[ZS]E\b)?[\s(]*)?(?:PIVOT|UNPIVOT|FROM|SELECT|WITH|DESC|SUMMARIZE|SHOW|VALUES|TABLE)",
    re.IGNORECASE,
)
_con: dict[str, duckdb.DuckDBPyConnection] = {}


def _sql(path: Path) -> None:
    """Ask what the sandbox asks before it runs a query: whether it is one statement that reads."""
    con = _con.setdefault("sql", duckdb.connect())
    text = path.read_bytes().decode("utf-8", "replace")[:1_000_000]
    reading = one_reading_statement(con, text)
    kinds = [statement.type.name for statement in con.extract_statements(reading)]
    is_query = kinds == ["MULTI"] and _FIRST_WORDS.match(re.sub(r"/\*.*?\*/|--[^\n]*", " ", reading, flags=re.DOTALL))
    if kinds not in (["SELECT"], ["EXPLAIN"]) and not is_query:
        raise AssertionError(f"passed as reading: {kinds}")


def _real(pattern: str, most: int) -> list[bytes]:
    if not DATA.is_dir():
        return []
    small = (path for path in sorted(DATA.glob(pattern)) if path.stat().st_size <= _LARGEST_SEED)
    return [path.read_bytes() for path, _ in zip(small, range(most), strict=False)]


_CSV_WORDS = (
    b"object_id", b"label", b"ra", b"dec", b'"', b'""', b",", b"\r\n", b"\n", b"nan", b"NULL", b"elliptical", b"spiral",
    b"human", b"promoted", b"survey", b"des", b"sdss", b"=cmd|' /C calc'!A0", b"@SUM(1)", b"-1", b"1e5",
    b"\xe2\x80\xae",
)  # fmt: skip
_ECSV_WORDS = (
    b"# %ECSV 1.0", b"# - {name: a, unit: deg, datatype: float64}", b"datatype: int8", b"subtype: json", b'""', b"nan",
    b"subtype: float64[3]", b"unit: !astropy.units.Unit {unit: mag(AB)}", b"# - !!omap", b"&id001", b"*id001",
    b"!!python/object/apply:os.system [ls]", b"__serialized_columns__:", b"RADESYS: FK4", b"EQUINOX: 1950.0",
    b"__class__: astropy.coordinates.sky_coordinate.SkyCoord", b"# meta: {frame: galactic}", b"99999999999999999999",
)  # fmt: skip
_ANSWER_WORDS = (
    b'""task"": ""T0""', b'""value""', b'""T1""', b'""Smooth""', b'""Star""', b'[""Smooth"", ""Features""]', b"null",
    b'""#object_id""', b"1e400", b"9007199254740993", b'"', b'""', b",", b"[", b"]", b"{", b"}", b"\n", b"data.star",
    b"data.None", b"Counter({'smooth': 2})", b"nan", b"2.5", b"question_reducer", b"smooth", b"T1", b"\t",
    b'{"choices": ["spiral"]}', b'"annotator"', b'"label": "spiral"', b'"object_id": 1.0', b'"completed_by": null',
    b'"\\ud800"', b'"was_cancelled": true', b"spiral", b"elliptical", b"(" * 300, b"[" * 300,
)  # fmt: skip
_VOT_WORDS = (
    b"<TR>", b"</TR>", b"<TD>", b"<TABLE>", b"<FIELD name='a' datatype='double'/>", b"<RESOURCE>", b"arraysize='*'",
    b"arraysize='9999999999'", b'datatype="char"', b"<STREAM href='file:///etc/passwd'>", b"<BINARY2>",
    b"<FITS extnum='1'>",
    b"<!DOCTYPE v [<!ENTITY a 'aaaa'>]>", b"&a;", b"<![CDATA[", b"]]>", b"<!--", b"<VALUES null='1'/>",
    b'precision="F2"',
    b"<PARAM name='p' datatype='int' value='x'/>", b"<INFO name='QUERY_STATUS' value='ERROR'>", b"arraysize='1*'",
    b"datatype='short'", b"datatype='bit'", b"<COOSYS ID='a' system='galactic'/>", b"-9223372036854775809", b"0x1f",
    b"ref='t'", b"encoding='gzip'", b"nrows='99999999999'",
)  # fmt: skip
_TOML_WORDS = (
    b"[network]", b"[[training.stages]]", b"[", b"]", b"{", b"}", b"= ", b'"""', b"'", b"nan", b"inf", b"1979-05-27",
    b"0x7fffffffffffffff", b"true", b"[]", b"{}", b'"\\u0000"', b"members = 0", b"a.b.c = 1", b"\\U0010ffff", b"1e400",
)  # fmt: skip
_SQL_WORDS = (
    b"SELECT", b"FROM", b"EXPLAIN", b"ANALYZE", b"COPY", b"(", b")", b";", b"--", b"/*", b"*/", b"'", b'"', b"$$",
    b"TO 'x'",
    b"WITH", b"RECURSIVE", b"UNION", b"ATTACH 'x'", b"INSTALL", b"SET", b"PRAGMA", b"query('SELECT 1')", b"::INT[]",
    b"NOT ",
    b"\x00", b"DELETE FROM labels", b"INSERT INTO t", b"(FORMAT json)", b"PREPARE a AS", b"EXECUTE a", b"CALL",
    b"VALUES (1)",
)  # fmt: skip
_NPY_WORDS = (
    b"'descr'",
    b"'|O'",
    b"'>U99999'",
    b"'fortran_order'",
    b"True",
    b"(3, 16, 16, 3)",
    b"(99999999999,)",
    b"()",
)

# Most go to what takes 4 ms (an image, a CSV); what DuckDB or torch parses takes 20 and more
TARGETS: dict[str, Target] = {
    "image": Target("a.img", _images, _image, structured=spoil_chunk, share=40),
    "fits table": Target("a.fits", _fits_tables, _survey_table, structured=spoil_card, share=4),
    "fits table, gzipped": Target("a.fits.gz", _fits_tables, _survey_table, structured=spoil_card, share=2),
    "survey csv, gzipped": Target("a.csv.gz", _survey_csvs, _survey_table, _CSV_WORDS, share=3),
    "votable, gzipped": Target("a.vot.gz", _votables, _survey_table, _VOT_WORDS, share=3),
    "fits tile": Target("t/cube.fits", _tiles, _tile, structured=spoil_card, share=4),
    "survey csv": Target("a.csv", _survey_csvs, _survey_table, _CSV_WORDS, share=8),
    "parquet": Target("a.parquet", _parquets, _survey_table, share=8),
    "ecsv": Target("a.ecsv", _ecsvs, _survey_table, _ECSV_WORDS, share=8),
    "votable": Target("a.vot", _votables, _survey_table, _VOT_WORDS, share=8),
    "user csv": Target("a.csv", _csvs, _user_csv, _CSV_WORDS, share=45),
    "labels csv": Target("a.csv", _csvs, _label_csv, _CSV_WORDS, share=35),
    "zooniverse classifications": Target(
        "a.csv", _classifications, _answers_of("zooniverse"), _ANSWER_WORDS, share=20
    ),
    "zooniverse reductions": Target(
        "a.csv", lambda: list(_REDUCTIONS), _answers_of("zooniverse"), _ANSWER_WORDS, share=20
    ),
    "label studio json": Target(
        "a.json", lambda: list(_LABEL_STUDIO), _answers_of("labelstudio"), _ANSWER_WORDS, share=20
    ),
    "label studio table": Target(
        "a.csv", lambda: list(_LABEL_STUDIO_TABLES), _answers_of("labelstudio"), _ANSWER_WORDS, share=15
    ),
    "recipe": Target("a.toml", _recipes, _recipe, _TOML_WORDS, share=30),
    "recipe --set": Target(
        "a.txt", lambda: [b"members=3", b"sets.cuts.spiral=0.5\ntraining.stages.0.epochs=2"], _changed_recipe,
        (*_TOML_WORDS, b"promotion.policy=", b"training.stages.", b".", b"=", b"0"), share=12,
    ),
    "settings": Target("catbuilder.toml", _settings, _workspace_settings, _TOML_WORDS, share=15),
    "stamp shard": Target("ws/stamps/des/a.npy", _shards, _shard, _NPY_WORDS, share=5),
    "model": Target("a.safetensors", _models, _model, structured=spoil_tensors, share=8),
    "sql statement": Target("a.sql", lambda: [q.encode() for q in _QUERIES], _sql, _SQL_WORDS, share=5),
}  # fmt: skip


def try_input(target: Target, path: Path) -> str:
    """Give one file to its parser: `read` or `refused`; whatever else it does is raised."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            target.parse(path)
        except CatbuilderError as error:
            said = str(error)
            if not said.isprintable() or len(said) > 20_000:
                raise AssertionError(f"a message that does not print: {said[:300]!r}") from error
            return "refused"
        except (duckdb.OutOfMemoryException, duckdb.FatalException, duckdb.IOException):
            return "refused"  # `catalog.connect` makes a sentence of them
    return "read"


def stream(name: str, seed: int, number: int) -> random.Random:
    """The random numbers of one input, which anybody may guess."""
    return random.Random(f"{name}:{seed}:{number}")  # nosec B311
