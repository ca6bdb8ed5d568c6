"""Another survey with ten other classes, set up by `catbuilder.toml` alone."""

import csv
import json
import subprocess
import sys
from functools import reduce
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from support.command_line import CommandLine
from support.toy_rounds import RECIPE as TOY_RECIPE
from support.toy_survey import SIZE
from support.workspaces import ask, cli, failed

from catbuilder.catalogue.workspace import Workspace
from catbuilder.inspection.check import check

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from galaxy10 import CLASSES  # noqa: E402

N = 480  # galaxies

SETTINGS = f"""
classes = {json.dumps(CLASSES)}
stamp_size = {SIZE}
recipe = "{{recipe}}"
[surveys.decals]
release = "DR8"
id_column = "galaxy"
"""

CHANGES = {
    "hidden = 16": "hidden = 32",
    "dropout = 0.2": "dropout = 0.0",
    "epochs = 4": "epochs = 5",
    'policy = "top_k"': 'policy = "certified"',
    "alpha = 0.15": "alpha = 0.9\ndelta = 0.3",  # a few calibration objects of each class can show that
    "rounds = 3": "rounds = 1",
    "[network]": '[sets]\ntarget = "decals"\n[network]',
}


def ten_kinds(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Galaxies of which each kind has a length and a colour of its own; uint8 (n, SIZE, SIZE, 3) and the kinds."""
    rng = np.random.default_rng(10)
    kind = np.arange(n) % 10
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    angle = rng.uniform(0, np.pi, n)[:, None, None]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    length = np.where(kind < 5, 1.0, 3.5)[:, None, None]
    light = np.exp(-(along**2 + (across * length) ** 2) / rng.uniform(40, 70, n)[:, None, None])
    hues = np.array([[1, 0.2, 0.2], [0.2, 1, 0.2], [0.2, 0.2, 1], [1, 1, 0.1], [0.9, 0.9, 0.9]])[kind % 5]
    pixels = 180 * light[..., None] * hues[:, None, None, :] + rng.normal(20, 4, (n, SIZE, SIZE, 3))
    return pixels.clip(0, 255).astype(np.uint8), kind.astype(np.uint8)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """A file of the layout of Galaxy10 DECaLS, unpacked by the script."""
    folder = tmp_path_factory.mktemp("galaxy10")
    pixels, kinds = ten_kinds(N)
    with h5py.File(folder / "Galaxy10_DECals.h5", "w") as file:
        file["images"], file["ans"] = pixels, kinds
        file["ra"], file["dec"] = np.linspace(5, 350, N), np.linspace(-20, 60, N)
    command = [sys.executable, ROOT / "scripts" / "galaxy10.py", folder / "Galaxy10_DECals.h5", folder / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "train" in done.stdout, done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def brought_in(unpacked, tmp_path_factory) -> CommandLine:
    """The ten-class workspace, made of a catbuilder.toml that was there first."""
    workspace = tmp_path_factory.mktemp("ten") / "ws"
    workspace.mkdir()
    recipe = workspace / "ten.toml"
    recipe.write_text(reduce(lambda text, change: text.replace(*change), CHANGES.items(), TOY_RECIPE))
    (workspace / "catbuilder.toml").write_text(SETTINGS.format(recipe=recipe))
    command = CommandLine(workspace, recipe)
    assert "ingest images DIR --table T.csv --survey decals" in cli("init", workspace).out
    command("ingest", "images", unpacked / "images", "--table", unpacked / "objects.csv", "--survey", "decals")
    command("testset", "HP", "--survey", "decals", "--table", unpacked / "hp_truth.csv")
    return command


@pytest.fixture(scope="module")
def ten(brought_in, copy_of) -> CommandLine:
    """The same after a round."""
    command = brought_in.on(copy_of(brought_in.workspace))
    command("round")
    return command


def test_an_existing_settings_file_is_used(brought_in):
    config = Workspace.open(brought_in.workspace).config
    assert config.classes == CLASSES and list(config.surveys) == ["decals"] and config.stamp_size == SIZE


def test_init_refuses_options_that_contradict_the_file_and_takes_those_that_do_not(tmp_path):
    (tmp_path / "catbuilder.toml").write_text(SETTINGS.format(recipe="demo"))
    said = failed(cli("init", tmp_path, "--classes", "elliptical,spiral"), "its classes is disturbed, merging")
    assert "leave out --classes, or change the file" in said and not (tmp_path / "catalog.duckdb").exists()
    assert f"there is no catalogue in {tmp_path} yet" in failed(cli("-w", tmp_path, "status"))
    assert cli("init", tmp_path, "--stamp-size", SIZE, "--classes", ",".join(CLASSES)).code == 0
    failed(cli("init", tmp_path), "is a workspace already")


def test_a_round_learns_ten_classes_and_is_measured_by_each(ten):
    rows = json.loads(ten("metrics", "--format", "json"))
    (hp,) = (row for row in rows if row["test_set"] == "HP")
    assert hp["survey"] == "decals" and hp["n"] > 60 and hp["accuracy"] > 0.5  # chance is a tenth
    every = json.loads(ten("metrics", "--all", "--format", "json"))
    assert {row["class"] for row in every if row["metric"] == "recall"} == set(CLASSES)
    assert len([row for row in every if row["metric"] == "confusion" and row["coverage"] == 1]) >= 100


def test_promotions_why_and_history_have_all_classes(ten):
    workspace = Workspace.open(ten.workspace)
    promoted = ask(workspace, "SELECT object_id, label FROM catalog WHERE source = 'promoted' ORDER BY ALL")
    assert promoted and {label for _, label in promoted} <= set(CLASSES)
    assert promoted[0][1] in ten("why", promoted[0][0])
    assert not [finding for finding in check(workspace) if finding.faults]


def test_exports_and_labels_carry_ten_posteriors_and_the_survey_name(ten, tmp_path):
    ten("export", tmp_path / "ten.fits")
    table = Table.read(tmp_path / "ten.fits")
    assert [name for name in table.colnames if name.startswith("p_")] == [f"p_{name}" for name in CLASSES]
    total = sum(np.asarray(table[f"p_{name}"], float) for name in CLASSES)
    assert np.nanmax(np.abs(total - 1)) < 1e-4
    assert "decals" in str(fits.getheader(tmp_path / "ten.fits"))
    ten("labels", "export", tmp_path / "labels.csv")
    with open(tmp_path / "labels.csv", newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} == set(CLASSES)


def test_certificates_are_given_or_refused_class_by_class(ten):
    rows = json.loads(ten("certificates", "--format", "json"))
    assert {row["class"] for row in rows} == set(CLASSES) and {row["survey"] for row in rows} == {"decals"}
    assert "certified" in {row["verdict"] for row in rows}


def test_a_shipped_recipe_says_that_it_labels_another_survey(brought_in):
    done = brought_in("round", "--recipe", "demo", expect=1)
    assert "the recipe labels the survey 'des', but this workspace has decals" in done
    assert "catbuilder round --set sets.target=decals" in done


def test_the_paper_s_sets_say_that_they_need_its_two_classes(brought_in):
    done = brought_in("assemble", expect=1)
    assert "assemble needs the classes elliptical and spiral" in done and "catbuilder testset" in done
