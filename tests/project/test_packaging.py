"""The wheel works by itself: away from the checkout, with its SQL and recipes inside."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from the sdist made from the checkout, so both must be complete."""
    folder = tmp_path_factory.mktemp("dist")
    _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment that has the wheel and borrows torch and the rest from this one."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    _run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel],
        cwd=folder,
    )
    # A folder named in a .pth comes last on the path; .pth files in it (an editable catbuilder) are not read
    (site,) = folder.glob("lib/python*/site-packages")
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "lent.pth").write_text("\n".join(sorted(lent)) + "\n")
    return folder / "bin"


@pytest.mark.parametrize("name", ["sql", "rounds"])
def test_the_wheel_carries_every_file_of_sql_and_rounds(wheel: Path, name: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {member for member in archive.namelist() if member.startswith(f"catbuilder/_data/{name}/")}
    ours = {f"catbuilder/_data/{path.relative_to(ROOT)}" for path in (ROOT / name).rglob("*") if path.is_file()}
    assert inside == ours
    assert ours


def test_the_wheel_carries_the_pages_of_serve_and_the_report(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = archive.namelist()
    inside = {member for member in members if member.startswith("catbuilder/web/")}
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "catbuilder" / "web").rglob("*.*")}
    assert {path for path in ours if "__pycache__" not in path} == inside
    assert {"catbuilder/web/templates/base.html", "catbuilder/web/static/review.js"} <= inside
    assert {"catbuilder/reports/templates/report.html", "catbuilder/__init__.pyi", "catbuilder/py.typed"} <= set(
        members
    )


def test_the_wheel_carries_nothing_but_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {member.split("/")[0] for member in archive.namelist()}
    assert tops == {"catbuilder", f"catbuilder-{_version(ROOT)}.dist-info"}


def test_the_installed_package_is_the_wheels_and_finds_its_folders(installed: Path, tmp_path: Path) -> None:
    code = (
        "import json, catbuilder as c; from catbuilder.core.resources import rounds_folder, sql_folder;"
        "print(json.dumps([c.__file__, str(sql_folder()), str(rounds_folder()), c.__version__]))"
    )
    package, sql, rounds, version = json.loads(_run([installed / "python", "-c", code], cwd=tmp_path))
    home = Path(package).parent
    assert home.is_relative_to(installed.parent)
    assert (Path(sql), Path(rounds)) == (home / "_data" / "sql", home / "_data" / "rounds")
    assert version == _version(ROOT)


def test_help_lists_the_verbs(installed: Path, tmp_path: Path) -> None:
    text = _run([installed / "catbuilder", "--help"], cwd=tmp_path)
    for verb in ("init", "ingest", "round", "why", "export"):
        assert verb in text


def test_init_makes_a_workspace(installed: Path, tmp_path: Path) -> None:
    _run([installed / "catbuilder", "init", "survey"], cwd=tmp_path)
    assert (tmp_path / "survey" / "catbuilder.toml").is_file()
    assert (tmp_path / "survey" / "catalog.duckdb").is_file()


def test_the_extra_asks_for_the_horovod_that_the_script_builds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"catbuilder-{_version(ROOT)}.dist-info/METADATA").decode()
    assert "Requires-Dist: horovod==0.28.1; extra == 'horovod'" in metadata
    assert "version=0.28.1\n" in (ROOT / "scripts" / "build/build_horovod.sh").read_text()


def _version(root: Path) -> str:
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]


def _run(command: list[str | Path], cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CATBUILDER"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
