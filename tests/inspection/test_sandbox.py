"""`catbuilder sql`: read-only, sandboxed, with limits, in three output formats."""

import csv
import io
import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from support.command_line import CATBUILDER
from support.forked_processes import forked_queries
from support.workspaces import COMMAND, ask, cli, failed, peak_of, surveyed

from catbuilder.core.errors import QueryError
from catbuilder.inspection.sandbox import query_stream, query_table


@pytest.fixture(scope="module", autouse=True)
def _forks():
    """Queries of this process are forks; those of the commands that tests start as processes are not."""
    with forked_queries():
        yield


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return surveyed(tmp_path_factory.mktemp("sql") / "ws")


@pytest.fixture(scope="module")
def sql(survey):
    def run(query, *options):
        return cli("-w", survey.path, "sql", query, *options)

    return run


# --- what comes out

VALUES = """SELECT object_id, CASE WHEN object_id = 1 THEN 'NaN'::DOUBLE END AS x, label, ra > 10 AS east,
            9007199254740993 AS big, 'infinity'::DOUBLE AS far, [1, 2] AS list, 'a,"b' AS text
            FROM catalog WHERE survey = 'des' AND object_id <= 2 ORDER BY object_id"""


def test_json_gives_ids_and_large_numbers_as_text_and_what_is_no_number_as_null(sql):
    done = sql(VALUES, "--format", "json")
    rows = json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert rows[0] == {
        "object_id": "1", "x": None, "label": "elliptical", "east": False, "big": "9007199254740993", "far": None,
        "list": [1, 2], "text": 'a,"b',
    }  # fmt: skip
    assert rows[1]["east"] is True and rows[1]["x"] is None
    assert json.loads(sql("SELECT 1 AS a WHERE false", "--format", "json").out) == []


def test_csv_is_read_back_by_a_csv_reader_and_null_is_empty(sql):
    header, first, second = csv.reader(io.StringIO(sql(VALUES, "--format", "csv").out))
    assert header == ["object_id", "x", "label", "east", "big", "far", "list", "text"]
    assert first == ["1", "nan", "elliptical", "false", "9007199254740993", "inf", "[1, 2]", 'a,"b']
    assert second[1] == ""
    assert sql("SELECT 1 AS a WHERE false", "--format", "csv").out == '"a"\n'


def test_a_table_for_people_cuts_nothing_off_where_it_is_not_a_terminal(sql):
    out = sql("SELECT repeat('x', 300) AS wide, '[red]y[/red]' AS markup, 1/3 AS third, NULL AS nothing").out
    assert "x" * 300 in out and "[red]y[/red]" in out and "0.333333" in out and "None" not in out
    assert sql("SELECT 1 WHERE false").out == "no rows\n"


def test_a_long_table_says_how_to_get_all_of_it(sql):
    out = sql("SELECT * FROM range(2345)").out
    assert "the first 1,000 of 2,345 rows" in out and "--format csv" in out and len(out.splitlines()) < 1010
    assert len(sql("SELECT * FROM range(2345)", "--format", "csv").out.splitlines()) == 2346


def test_columns_of_one_name_are_told_apart(sql):
    query = "SELECT 1 AS a, 2 AS a, 3 AS a_1"
    assert json.loads(sql(query, "--format", "json").out) == [{"a": 1, "a_1": 2, "a_1_1": 3}]
    assert sql(query, "--format", "csv").out.splitlines()[1] == "1,2,3"
    assert sql(query).out.split()[-3:] == ["1", "2", "3"]


@pytest.mark.parametrize("how", ["table", "csv", "json"])
def test_every_type_can_be_printed(sql, how):
    query = """SELECT DATE '2020-01-01' AS d, TIME '10:00' AS t, now() AS n, INTERVAL 1 DAY AS i, 1.50::DECIMAL(9, 2),
               170141183460469231731687303715884105727 AS h, 'x'::BLOB AS b, uuid() AS u, {'a': 1} AS s, NULL AS z,
               MAP {'k': 1} AS m, 'a'::ENUM ('a', 'b') AS e, 1::UTINYINT AS u8, true AS yes"""
    done = sql(query, "--format", how)
    assert (done.code, done.err) == (0, "") and "170141183460469231731687303715884105727" in done.out


@pytest.mark.parametrize("how", ["table", "csv", "json"])
def test_times_that_python_does_not_know_are_printed_all_the_same(sql, how):
    query = "SELECT DATE '9999-12-31' + 3000000 AS d, ['infinity'::TIMESTAMP, NULL] AS l, t.* FROM test_all_types() t"
    done = sql(query, "--format", how)
    assert (done.code, done.err) == (0, "") and "18213-09-20" in done.out and "290309-12-22 (BC)" in done.out


AS_DUCKDB = """SELECT INTERVAL 9 SECOND AS took,
               [1, NULL] AS list, {'a': 'x', 'object_id': 5} AS struct, MAP {'k': 1} AS map,
               1.10::DECIMAL(9, 2) AS dec, 'x'::BLOB AS bytes, TIMESTAMPTZ '2024-01-01 00:00:00.5+02' AS zone,
               '01'::BIT AS bit, sum(2) AS total, [{'d': INTERVAL 1 DAY, 'n': NULL}] AS nested, 'b'::ENUM ('b') AS enum,
               '{"a": [1, 9007199254740993]}'::JSON AS json, ['nan'::DOUBLE, 0.5] AS numbers"""  # fmt: skip


def test_values_are_printed_as_duckdb_prints_them(sql):
    text = {
        "took": "00:00:09", "list": "[1, NULL]", "struct": "{'a': x, 'object_id': 5}", "map": "{k=1}", "dec": "1.10",
        "bytes": "x", "zone": "2023-12-31 22:00:00.5+00", "bit": "01", "total": "2",
        "nested": "[{'d': 1 day, 'n': NULL}]", "enum": "b", "json": '{"a": [1, 9007199254740993]}',
        "numbers": "[nan, 0.5]",
    }  # fmt: skip
    assert next(csv.DictReader(io.StringIO(sql(AS_DUCKDB, "--format", "csv").out))) == text
    printed = sql(AS_DUCKDB).out
    assert [cell for cell in text.values() if cell not in printed] == []


def test_json_has_lists_structs_and_maps_as_json(sql):
    assert json.loads(sql(AS_DUCKDB, "--format", "json").out) == [
        {"took": "00:00:09", "list": [1, None], "struct": {"a": "x", "object_id": "5"}, "map": {"k": 1}, "dec": 1.1,
         "bytes": "x", "zone": "2023-12-31 22:00:00.5+00", "bit": "01", "total": 2,
         "nested": [{"d": "1 day", "n": None}], "enum": "b", "json": {"a": [1, "9007199254740993"]},
         "numbers": [None, 0.5]}
    ]  # fmt: skip


def test_python_gets_typed_values(survey):
    table = query_table(survey, AS_DUCKDB)
    kinds = {name: str(table.schema.field(name).type) for name in ("took", "list", "dec", "zone")}
    assert kinds == {
        "took": "month_day_nano_interval", "list": "list<l: int32>", "dec": "decimal128(9, 2)",
        "zone": "timestamp[us, tz=UTC]",
    }  # fmt: skip


def test_texts_are_cut_where_a_longest_is_asked_for(survey):
    with query_stream(survey, "SELECT range(9) AS l, 'abcdef' AS t, 12345 AS n", values="text", longest=3) as reader:
        assert reader.read_all().to_pylist() == [{"l": "[0, ", "t": "abcd", "n": 12345}]


def test_rows_that_are_shown_keep_their_order(sql):
    out = sql("SELECT i, [i] AS l FROM range(300000) t(i) ORDER BY i DESC", "--format", "csv").out.splitlines()
    assert out[1:] == [f'{i},"[{i}]"' for i in range(299_999, -1, -1)]


PIVOTS = [
    "PIVOT (SELECT survey, label FROM catalog) ON label USING count(*)",
    "PIVOT catalog ON label IN ('spiral') USING count(*) GROUP BY survey",
    "EXPLAIN PIVOT catalog ON label",
    "WITH p AS (PIVOT catalog ON label USING count(*) GROUP BY survey) SELECT * FROM p -- remark",
    "FROM (PIVOT catalog ON label GROUP BY survey)", "SUMMARIZE catalog", "SHOW ALL TABLES", "SHOW catalog", "DESCRIBE",
    "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b", "VALUES (1, 2)", "TABLE catalog", "DESCRIBE SELECT 1", "(SELECT 1)",
]  # fmt: skip


@pytest.mark.parametrize("query", PIVOTS)
def test_what_stands_for_a_select_is_allowed(sql, query):
    done = sql(query)
    assert done.code == 0 and done.out.strip() and done.err == ""


@pytest.mark.parametrize(
    "query",
    [
        "COPY (PIVOT catalog ON label) TO '{catalogue}.wal' (FORMAT csv)",
        "EXPLAIN ANALYZE COPY (PIVOT catalog ON label) TO '{catalogue}.wal' (FORMAT csv)",
        "CREATE TEMP TABLE x AS PIVOT catalog ON label", "CREATE VIEW x AS PIVOT catalog ON label",
        "INSERT INTO runs PIVOT catalog ON label",
        "PIVOT catalog ON label; COPY (SELECT 1) TO '{catalogue}.wal' (FORMAT csv)",
    ],
)  # fmt: skip
def test_a_pivot_that_is_more_than_shown_is_refused(sql, survey, query):
    before = sorted(survey.path.iterdir())
    failed(sql(query.format(catalogue=survey.catalog_file)))
    assert sorted(survey.path.iterdir()) == before


def test_a_file_in_the_current_folder_does_not_stand_in_for_a_library(survey, tmp_path):
    for name in ("duckdb", "pyarrow", "random", "catbuilder"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stray file was imported')")
    command = [CATBUILDER, "-w", str(survey.path), "sql", "SELECT 41 + 1 AS answer"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "42" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "query",
    [
        "DESCRIBE catalog",
        "SHOW TABLES",
        "EXPLAIN SELECT * FROM catalog",
        "FROM catalog",
        "WITH a AS (SELECT 1 AS b) SELECT b FROM a",
        "SELECT 1;",
        "  -- a remark\nSELECT 1",
    ],
)
def test_reading_statements_are_allowed(sql, query):
    done = sql(query)
    assert done.code == 0 and done.out.strip() and done.err == ""


# --- what is refused


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM labels",
        "CREATE TEMP TABLE x AS SELECT 1",
        "EXPLAIN ANALYZE DELETE FROM labels",
        "WITH a AS (SELECT 1) DELETE FROM labels",
        "COPY labels TO '{place}/out.csv'",
        "ATTACH '{place}/out.duckdb' AS o",
        "SELECT * FROM read_csv('{place}/secret.csv')",
        "SELECT * FROM '{place}/secret.csv'",
        "SELECT * FROM glob('{place}/*')",
        "INSTALL httpfs",
        "PRAGMA version",
        "SET enable_external_access = true",
        "SELECT set_config('memory_limit', '100GB')",
        "SELECT 1; DELETE FROM labels",
        "",
    ],
)
def test_writing_reaching_files_and_several_statements_are_refused(sql, survey, tmp_path, query):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = survey.catalog_file.read_bytes()
    done = sql(query.format(place=tmp_path))
    failed(done)
    assert done.out == "" and survey.catalog_file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


@pytest.mark.parametrize(
    "query",
    [
        "EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{catalogue}.wal' (FORMAT csv)",
        "EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{catalogue}' (FORMAT csv, USE_TMP_FILE false)",
        "explain /* a */ analyze -- b\n COPY (SELECT 1 AS a) TO '{catalogue}.tmp/x.csv'",
        "/* a */ EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '{catalogue}.tmp/x.csv'",
        "EXPLAIN (/*) SELECT 1 --*/ ANALYZE) COPY (SELECT 1) TO '{catalogue}' (FORMAT csv, USE_TMP_FILE false)",
        "/* a */ EXPLAIN (/*) SELECT 1 --*/ ANALYZE) COPY (SELECT 1) TO '{catalogue}.wal' (FORMAT csv)",
        "EXPLAIN ANALYZE CREATE TEMP TABLE x AS SELECT 1",
        "EXPLAIN ANALYZE SET threads = 1",
        "EXPLAIN",
    ],
)
def test_explain_runs_nothing_that_does_more_than_read(sql, survey, query):
    """ANALYZE runs what it explains, and the files beside the catalogue are open to DuckDB: it wrote the log of it."""
    before = sorted(path.name for path in survey.path.iterdir())
    bytes_before = survey.catalog_file.read_bytes()
    failed(sql(query.format(catalogue=survey.catalog_file)))
    assert sorted(path.name for path in survey.path.iterdir()) == before
    assert survey.catalog_file.read_bytes() == bytes_before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM query('DELETE FROM labels')",
        "SELECT * FROM query('SELECT 1; DELETE FROM labels')",
        "SELECT * FROM read_text('{place}/secret.csv')",
        "SELECT * FROM read_duckdb('{place}/secret.csv')",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''{place}/secret.csv'')'))",
        "SELECT * FROM enable_logging('QueryLog', storage='file', storage_path='{place}/log')",
        "SELECT content FROM read_text(current_setting('temp_directory') || '/../catbuilder.toml')",
        "FROM sniff_csv('{place}/secret.csv')",
        "DESCRIBE '{place}/secret.csv'",
        "WITH x AS (COPY labels TO '{place}/x') FROM x",
        "SELECT * FROM duckdb_secrets()",
        "SELECT getenv('HOME')",
        "SELECT * FROM os",  # DuckDB finds the variables of a Python program that runs it, unless it is told not to
        "SELECT 1 \0; DELETE FROM labels",
        "EXPORT DATABASE '{place}'",
        "LOAD httpfs",
        "CALL force_checkpoint()",
    ],
)
def test_no_way_around_leads_to_a_file_a_secret_or_a_change(sql, survey, tmp_path, query):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = survey.catalog_file.read_bytes()
    done = sql(query.format(place=tmp_path))
    failed(done)
    assert done.out == "" and survey.catalog_file.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT * FROM catalogue", "Table with name catalogue does not exist"),
        ("SELECT lable FROM catalog", 'Referenced column "lable" not found'),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert"),
        ("SELECT * FROM range(3) WHERE range = (SELECT error('mine'))", "mine"),
        ("SELECT 'é☉' FROM nowhere", "nowhere"),
        ("SELECT '\udcff' FROM nowhere", "nowhere"),  # a byte of the command line that is not UTF-8
    ],
)
def test_a_wrong_query_is_told_in_one_line(sql, query, words):
    failed(sql(query), words)


def test_an_error_in_the_middle_of_a_long_result_is_told_and_exits_with_one(sql):
    query = "SELECT CASE WHEN range = 900000 THEN error('too far') ELSE range END AS a FROM range(1000000)"
    failed(sql(query, "--format", "csv"), "too far")


# --- limits


def test_a_query_is_stopped_before_it_exceeds_its_memory(survey):
    query = "SELECT repeat('x', 2000000000) AS a"
    done, megabytes = peak_of("-w", survey.path, "sql", query, "--memory-limit", "300")
    failed(done, "300 MB", "--memory-limit")
    assert megabytes < 300 + 1024


NESTED = {
    "parentheses": "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
    "functions": "SELECT " + "abs(" * 20_000 + "1" + ")" * 20_000,
    "minus": "SELECT " + "- " * 100_000 + "1",
    "types": "SELECT NULL::INT" + "[]" * 100_000,
    "too long": f"SELECT '{'x' * 1_000_000}'",
}


@pytest.mark.parametrize("what", NESTED)
def test_a_query_nested_or_long_beyond_reason_is_refused_in_short(survey, what):
    with pytest.raises(QueryError) as error, query_stream(survey, NESTED[what], memory_mb=300, timeout_s=60):
        pass
    assert len(str(error.value)) < 700 and str(error.value).isprintable()


SORT = "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY md5(range::VARCHAR)) AS n FROM range({rows}))"


def test_spilled_files_of_a_killed_query_are_removed(survey):
    """1.7 GB of it were left beside the catalogue by one query that ran out of its time."""
    seen = []
    with ThreadPoolExecutor(1) as aside:
        asked = aside.submit(query_table, survey, SORT.format(rows=1_000_000_000), memory_mb=100, timeout_s=3)
        while not asked.done():
            seen += [file.stat().st_size for file in survey.path.glob(".query-*/*") if file.exists()]
            time.sleep(0.05)
        with pytest.raises(QueryError, match="exceeded its 3 s"):
            asked.result()
    assert max(seen) > 0 and not list(survey.path.glob(".query-*"))
    assert not (survey.path / "catalog.duckdb.tmp").exists()


def test_the_disk_limit_of_a_query_is_a_setting(tmp_path):
    workspace = surveyed(tmp_path / "ws")
    with open(workspace.path / "catbuilder.toml", "a") as file:
        file.write("\n[limits]\nquery_disk_mb = 20\n")
    done = cli("-w", workspace.path, "sql", SORT.format(rows=10_000_000), "--memory-limit", "100")
    failed(done, "20 MB of disk", "limits.query_disk_mb")


def test_a_large_sort_is_stopped_in_one_line_too(sql):
    query = "SELECT count(DISTINCT md5(range::VARCHAR)) FROM range(3000000)"
    failed(sql(query, "--memory-limit", "20"), "20 MB of memory", "--memory-limit")


def test_a_query_that_takes_too_long_is_killed(sql):
    started = time.monotonic()
    failed(sql("SELECT sum(sin(range)) FROM range(1000000000000)", "--timeout", "1"), "exceeded its 1 s", "--timeout")
    assert time.monotonic() - started < 60


def test_a_query_dies_with_the_command_that_asked_it(survey):
    query = "SELECT sum(sin(range)) FROM range(1000000000000)"
    with subprocess.Popen([*COMMAND, "-w", str(survey.path), "sql", query]) as child:
        asked = psutil.Process(child.pid)
        deadline = time.monotonic() + 30
        while not (servants := asked.children()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        child.kill()
    _, alive = psutil.wait_procs(servants, timeout=60)
    for left in alive:
        left.kill()
    assert servants and not alive


@pytest.mark.parametrize("how", ["table", "csv", "json"])
def test_a_closed_pipe_is_no_error(survey, how):
    command = [*COMMAND, "-w", str(survey.path), "sql", "SELECT * FROM range(300000)", "--format", how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode in (0, 1, -signal.SIGPIPE)


def test_half_a_result_may_be_left_unread(survey):
    started = time.monotonic()
    with query_stream(survey, "SELECT * FROM range(100000000)") as reader:
        assert reader.read_next_batch().num_rows > 0
    assert time.monotonic() - started < 60
    assert ask(survey, "SELECT 1") == [(1,)]


def test_an_error_of_the_reader_is_its_own(survey):
    with pytest.raises(OSError, match="mine"), query_stream(survey, "SELECT 1"):
        raise OSError("mine")


def test_queries_and_their_errors_from_python(survey):
    assert query_table(survey, "SELECT label FROM catalog WHERE object_id = 3 AND survey = 'des'").to_pylist() == [
        {"label": "spiral"}
    ]
    with pytest.raises(QueryError, match="nowhere"):
        query_table(survey, "FROM nowhere")
    with pytest.raises(QueryError, match="result is larger than 50 MB"):
        query_table(survey, "SELECT repeat('x', 1000) AS a FROM range(1000000)", memory_mb=50)
