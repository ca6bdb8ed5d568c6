"""The study of how many labels recursion saves: its draws, copies and tables, and that it goes on where it stopped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import on_one_core
from support.contents import rows
from support.workers_here import workers_here

from catbuilder.core.files import exclusive_lock
from catbuilder.core.recipe import load_recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "study"))
import draw_labels
import labels as study
from draw_labels import draw

KNOWN = {n: "spiral" if n % 3 else "elliptical" for n in range(300)}


def test_a_draw_has_half_of_each_class_and_a_larger_one_contains_it() -> None:
    small, large = draw(KNOWN, 50, 7), draw(KNOWN, 120, 7)
    assert [sum(KNOWN[n] == name for n in small) for name in ("elliptical", "spiral")] == [25, 25]
    assert small < large and len(large) == 120
    assert draw(dict(reversed(KNOWN.items())), 50, 7) == small != draw(KNOWN, 50, 8)


@pytest.mark.parametrize(
    ("n", "why"),
    [(51, "cannot be shared equally"), (0, "cannot be shared"), (202, "only 100 objects are labelled ell")],
)
def test_a_draw_that_cannot_be_made_says_why(n: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        draw(KNOWN, n, 0)


def test_the_drawn_rows_of_a_table_keep_their_order(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("object_id,file,label\n" + "".join(f"{n},{n}.jpg,{label}\n" for n, label in KNOWN.items()))
    command = [sys.executable, draw_labels.__file__, str(table)]
    drawn = subprocess.run([*command, "50", "7"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert drawn[0] == "object_id,file,label"
    assert [int(row.split(",")[0]) for row in drawn[1:]] == sorted(draw(KNOWN, 50, 7))
    everything = subprocess.run([*command, "all", "7"], capture_output=True, text=True, check=True).stdout
    assert everything == table.read_text()
    failed = subprocess.run([*command, "many", "7"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1 and failed.stderr.startswith("'many' labels") and len(failed.stderr.splitlines()) == 1


def test_galaxies_of_another_draw_do_not_join_a_real_run_that_was_begun(tmp_path: Path) -> None:
    (tmp_path / "data" / "sdss_gz2").mkdir(parents=True)
    (tmp_path / "ws").mkdir()
    table = "object_id,file,label\n" + "".join(f"{n},{n}.jpg,{label}\n" for n, label in KNOWN.items())
    (tmp_path / "data" / "sdss_gz2" / "labels.csv").write_text(table)
    (tmp_path / "ws" / "catbuilder.toml").write_text("[surveys.decals]\n")
    (tmp_path / "ws" / "labelled.csv").write_text(table)
    script = Path(study.__file__).parents[1] / "real_galaxies.sh"
    command = ["bash", str(script), str(tmp_path / "data"), str(tmp_path / "ws")]
    for labelled, why in (
        ("50", "was begun with other labelled galaxies"),
        ("51", "51 labels cannot be shared equally"),
    ):
        done = subprocess.run(
            command, env={**os.environ, "LABELLED": labelled}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1 and why in done.stderr and len(done.stderr.splitlines()) == 1
    assert (tmp_path / "ws" / "labelled.csv").read_text() == table


COUNTS, CONTROL = [50, 100, 200], [80.0, 90.0, 88.0]


@pytest.mark.parametrize(
    ("reached", "said"),
    [(79.0, "fewer than 50"), (80.0, "50"), (85.0, "71"), (90.0, "100"), (90.5, "more than 200")],
)
def test_an_accuracy_is_worth_the_labels_that_reach_it_without_recursion(reached: float, said: str) -> None:
    assert study.as_good_as(COUNTS, CONTROL, reached) == said


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Three seeds of two numbers of labels; recursion gains 4 points at 50 labels."""
    table = [",".join(study.COLUMNS)]
    for seed in range(3):
        for n, first, without, taught in ((50, 70, 80, 84), (100, 80, 88, 87)):
            for name in ("HP des", "HP sdss"):
                for arm, number, value in (("first", 1, first), ("without", 3, without), ("taught", 3, taught)):
                    table.append(f"real,{n},{seed},{seed},{arm},{number},{name},60,{(value + seed) / 100}")
    for seed in (1, 2):
        table += [f"real,50,0,{seed},first,1,{name},60,{0.7 + 0.03 * seed}" for name in ("HP des", "HP sdss")]
    (tmp_path / "labels.csv").write_text("\n".join(table) + "\n")
    return tmp_path


def test_the_table_tells_gain_over_the_control_and_labels_saved(told: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.tell(told, told / "pictures")
    said = capsys.readouterr().out
    assert "| 50 | 3 | 71.0 ± 1.0 | 81.0 ± 1.0 | 85.0 ± 1.0 | +4.0 [+4.0, +4.0] | 71 labels |" in said
    assert "| 100 | 3 | 81.0 ± 1.0 | 89.0 ± 1.0 | 88.0 ± 1.0 | -1.0 [-1.0, -1.0] | 92 labels |" in said
    assert "**mean of the sets**" in said
    assert (
        "Round 1 with the same 50 labels (draw 0), 3 seeds" in said
        and "* HP des: 73.0 ± 3.0 (70.0, 73.0, 76.0)" in said
    )
    assert (told / "labels-real.png").read_bytes() == (told / "pictures" / "labels-real.png").read_bytes()


@pytest.mark.slow
def test_a_small_study_runs_on_the_drawn_labels_alone_and_goes_on_where_it_stopped(
    small_survey: Path, tiny_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(small_survey, tmp_path / "small" / "start")
    recipe = load_recipe(tiny_recipe, ["training.stages.0.epochs=1", "training.batch_size=16", "scoring.symmetries=1"])
    of = study.bed(tmp_path, "small", recipe, ("HP des", "HP sdss", "validation sdss"))
    assert len(of.labels) == 100 and 0 < len(of.validation) < 50
    file = tmp_path / "labels.csv"
    file.write_text(",".join(study.COLUMNS) + "\n")
    chosen = draw(of.labels, 40, 5)
    with on_one_core(), workers_here():
        study.run(of, chosen, 5, 5, ["without"], file, rounds=2)
        before = file.read_text()
        assert before.count("small,40,5,5,first,1,") == before.count("small,40,5,5,without,2,") == 3
        study.run(of, chosen, 5, 5, ["without", "taught"], file, rounds=2)
        assert file.read_text().startswith(before) and len(file.read_text().splitlines()) == 1 + 3 * 3
        with exclusive_lock(of.folder / "40-5-5.lock", "40-5-5 is under way"):
            study.run(of, chosen, 5, 5, ["promoted"], file, rounds=2)
    assert "promoted" not in file.read_text() and "is under way" in capsys.readouterr().err

    trained = "SELECT DISTINCT object_id FROM training WHERE survey = 'sdss'"
    taught = "SELECT count(*) > 0 FROM training WHERE role = 'teaching'"
    for arm in ("first", "without", "taught"):
        assert {n for (n,) in rows(of.folder / f"40-5-5-{arm}", trained)} <= chosen
        assert rows(of.folder / f"40-5-5-{arm}", taught) == [(arm == "taught",)]
    assert rows(of.start, "SELECT count(*) FROM standing_labels_at() WHERE survey = 'sdss'") == [(100,)]
    validated = {int(line.split(",")[7]) for line in before.splitlines() if ",validation sdss," in line}
    assert validated == {len(of.validation)}
