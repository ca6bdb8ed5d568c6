"""The public Python API: small, lazy, documented, and enough for every verb of the command line."""

import ast
import dataclasses
import doctest
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pyarrow as pa
import pytest
from support.workspaces import surveyed
from typer.main import get_command

import catbuilder
from catbuilder.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PROMISED = {
    "open_workspace", "create_workspace", "ingest_images", "ingest_survey", "ingest_tiles", "import_labels",
    "crossmatch", "assemble", "load_recipe", "run_rounds", "score", "rollback", "metrics", "query", "why", "similar",
    "diff", "compare", "check", "select_objects", "export", "release", "report", "simulate", "CatbuilderError",
}  # fmt: skip
# The one call of the library that each verb makes.
CALL_OF = {
    "init": "create_workspace", "simulate": "simulate", "fetch": "fetch", "cutouts": "write_cutout_list",
    "ingest images": "ingest_images", "ingest gz1": "ingest_survey", "ingest sdss": "ingest_survey",
    "ingest des": "ingest_survey", "ingest tiles": "ingest_tiles", "crossmatch": "crossmatch", "assemble": "assemble",
    "testset": "add_test_set", "round": "run_rounds", "score": "score", "rollback": "rollback",
    "experiment recursion": "run_recursion", "status": "status", "metrics": "metrics", "report": "report",
    "serve": "serve", "why": "why", "similar": "similar", "count": "count_objects", "diff": "diff",
    "compare": "compare", "certificates": "read_certificates", "shifts": "read_shifts", "sql": "query",
    "select": "select_objects", "labels import": "import_labels", "labels export": "export_labels",
    "labels agreement": "annotator_agreement", "export": "export", "release": "release", "track": "track",
    "check": "check", "backup": "backup", "restore": "restore", "compact": "compact",
}  # fmt: skip


def verbs(command, words=()):
    for name, verb in getattr(command, "commands", {}).items():
        yield from verbs(verb, (*words, name))
    if not hasattr(command, "commands"):
        yield " ".join(words)


def test_the_promised_names_are_there():
    assert set(catbuilder.__all__) >= PROMISED
    for name in catbuilder.__all__:
        assert getattr(catbuilder, name) is not None


def test_every_verb_is_one_public_call():
    assert set(verbs(get_command(app))) == set(CALL_OF)
    assert set(CALL_OF.values()) <= set(catbuilder.__all__)


PUBLIC_CALLS = [name for name in sorted(catbuilder.__all__) if inspect.isfunction(getattr(catbuilder, name))]


def section(text, title):
    """Return the lines of one section of a NumPy docstring."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w+\n-+$|\Z)", text, flags=re.DOTALL | re.MULTILINE)
    assert found, f"no section {title}"
    return found[1]


@pytest.mark.parametrize("name", PUBLIC_CALLS)
def test_every_public_call_says_what_it_does_and_describes_its_parameters(name):
    call = getattr(catbuilder, name)
    text = inspect.getdoc(call) or ""
    assert re.match(r"[A-Z][a-z]+ .*[.:]", text.splitlines()[0]), text.splitlines()[0]
    heads = re.findall(r"^(\w[\w, ]*) : \S|^(\w+)$", section(text, "Parameters"), flags=re.MULTILINE)
    described = [name for pair in heads for name in "".join(pair).split(", ")]
    signature = inspect.signature(call)
    assert sorted(described) == sorted(signature.parameters)
    if signature.return_annotation not in (None, "None"):
        assert section(text, "Returns").strip()


@pytest.mark.parametrize("name", PUBLIC_CALLS)
def test_every_public_call_has_an_example_in_python(name):
    text = section(inspect.getdoc(getattr(catbuilder, name)) or "", "Examples")
    examples = doctest.DocTestParser().get_examples(text)
    for example in examples:
        ast.parse(example.source)
    assert any(name in example.source for example in examples)


@pytest.mark.parametrize("name", PUBLIC_CALLS)
def test_every_result_describes_its_fields(name):
    result = typing.get_type_hints(getattr(catbuilder, name), localns={"pa": pa}).get("return")
    if dataclasses.is_dataclass(result) and result is not catbuilder.Workspace:
        described = re.findall(r"^(\w+) : \S", section(inspect.getdoc(result) or "", "Attributes"), flags=re.MULTILINE)
        assert described == [field.name for field in dataclasses.fields(result)]


def test_importing_the_package_loads_no_large_library():
    code = "import sys, catbuilder; print({n.partition('.')[0] for n in sys.modules} & set(sys.argv[1:]))"
    large = ["torch", "duckdb", "astropy", "matplotlib", "numpy", "pyarrow", "pydantic"]
    done = subprocess.run([sys.executable, "-c", code, *large], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="trainn"):
        _ = catbuilder.trainn


def test_types_are_shipped_for_every_name():
    stub = (ROOT / "catbuilder" / "__init__.pyi").read_text()
    assert (ROOT / "catbuilder" / "py.typed").is_file()
    assert set(re.findall(r"(\w+) as \1", stub)) == set(catbuilder.__all__)


def test_the_examples_of_the_page_run(tmp_path, monkeypatch, capfd):
    """Every Python block of docs/python.md, in order, on a small workspace named as the page has it."""
    surveyed(tmp_path / "des-y1")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), flags=re.DOTALL)
    assert len(blocks) >= 6
    names: dict[str, object] = {}
    for number, block in enumerate(blocks):
        if "# not run here" not in block:
            exec(compile(block, f"docs/python.md, block {number + 1}", "exec"), names)
    assert capfd.readouterr().out == "", "library calls print nothing"


def test_a_query_gives_arrow_or_pandas(tmp_path):
    workspace = surveyed(tmp_path / "ws")
    text = "SELECT source, count(*) AS n FROM catalog GROUP BY source ORDER BY n"
    arrow, frame = catbuilder.query(workspace, text), catbuilder.query(workspace, text, to="pandas")
    assert arrow.column_names == list(frame.columns) == ["source", "n"]
    assert frame["n"].tolist() == arrow["n"].to_pylist()
    with pytest.raises(catbuilder.CatbuilderError, match="use 'arrow' or 'pandas'"):
        catbuilder.query(workspace, text, to="polars")
