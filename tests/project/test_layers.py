"""Packages import only from packages below them, and worker processes never load DuckDB."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "catbuilder"

# From the bottom up: a package imports only from those before it.
LAYERS = (
    "core", "network", "catalogue", "sets", "decisions", "ingest", "active_learning", "rounds", "simulation",
    "inspection", "exports", "reports", "web", "cli",
)  # fmt: skip
# `network` is what worker processes run: it knows `core` alone, and neither of them the catalogue's database.
NO_DATABASE = ("core", "network")
WORKERS = ("catbuilder.network.train", "catbuilder.network.score", "catbuilder.network.precision_probe")


def imports_of(file: Path) -> list[tuple[int, str]]:
    """Line and full name of each module that a file imports, at its top or inside a function."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively; write the whole name"
            found += [(node.lineno, f"{node.module}.{name.name}") for name in node.names]
    return found


def faults_of(package: Path) -> list[str]:
    """Imports that go upward or into no package, and database imports where there may be none."""
    faults = []
    for file in sorted(package.rglob("*.py")):
        own, *rest = file.relative_to(package).parts
        if not rest:  # the public names, imported only when they are asked for
            continue
        for line, name in imports_of(file):
            root, _, below = name.partition(".")
            imported = below.partition(".")[0]
            if root == "duckdb" and own in NO_DATABASE:
                faults.append(f"{file}:{line} imports duckdb; {own} may not open the catalogue")
            if root != "catbuilder" or imported.startswith("__"):
                continue
            if imported not in LAYERS:
                faults.append(f"{file}:{line} imports {name}, which is in no package")
            elif LAYERS.index(imported) > LAYERS.index(own):
                faults.append(f"{file}:{line} imports {name}: {imported} stands above {own}")
    return faults


def test_every_package_has_its_place():
    assert {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()} == set(LAYERS)


def test_no_import_goes_upward():
    assert faults_of(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "word"),
    [
        ("core/sky.py", "from catbuilder.cli import main", "cli stands above core"),
        ("core/sky.py", "import catbuilder.cli.main", "cli stands above core"),
        ("network/train.py", "import duckdb", "may not open the catalogue"),
        ("network/score.py", "def f():\n    from catbuilder.catalogue import workspace", "catalogue stands above"),
    ],
)
def test_an_import_in_the_wrong_direction_is_found(tmp_path, file, line, word):
    wrong = tmp_path / file
    wrong.parent.mkdir()
    wrong.write_text((PACKAGE / file).read_text() + f"\n{line}\n")
    faults = faults_of(tmp_path)
    assert len(faults) == 1 and word in faults[0]


def test_a_worker_process_loads_no_database():
    code = (
        f"import importlib, sys\nfor module in {WORKERS}:\n"
        "    importlib.import_module(module)\n"
        "    print(module, {name.partition('.')[0] for name in sys.modules} & {'duckdb', 'typer'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == [f"{module} set()" for module in WORKERS], done.stderr


def test_few_files_lie_beside_the_packages():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_every_name_that_a_script_imports_exists():
    """The scripts are run by hand, some of them for hours: a renamed function must not be found out there."""
    missing = []
    for file in sorted((PACKAGE.parent / "scripts").rglob("*.py")):
        for line, name in imports_of(file):
            module, _, attribute = name.rpartition(".")
            if not name.startswith("catbuilder.") or module == "catbuilder":
                continue
            if source_of(module) is None or (attribute not in defined_in(module) and source_of(name) is None):
                missing.append(f"{file}:{line} imports {name}")
    assert missing == []


def source_of(module: str) -> Path | None:
    """The file of a module or package, if there is one."""
    place = PACKAGE.parent.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


@cache
def defined_in(module: str) -> set[str]:
    """Names that the top level of a module defines."""
    file = source_of(module)
    assert file is not None
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
    assigned += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    return names | {name.id for target in assigned for name in ast.walk(target) if isinstance(name, ast.Name)}
