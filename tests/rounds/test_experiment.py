"""Recursion and control over seeds: copies leave the original alone, killed runs resume, figures agree with numpy."""

import csv
import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from support.command_line import CommandLine
from support.contents import rows
from support.new_workspace import create_workspace
from support.small_survey import (
    CALIBRATION,
    HP_DES,
    HP_SDSS,
    N_CALIBRATION,
    N_HP,
    N_POOL,
    POOL,
    finish_by_hand,
    write_recipe,
)
from support.workspaces import cli

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import ConfigError, InputError, RoundError, WorkspaceBusy
from catbuilder.core.files import exclusive_lock, sha256_file
from catbuilder.core.progress import Reporter
from catbuilder.core.recipe import Recipe, load_recipe
from catbuilder.inspection.check import check
from catbuilder.rounds.arms import control_of, grey_version, load_arm
from catbuilder.rounds.experiment import compare_with_grey, run_recursion
from catbuilder.rounds.experiment_copies import experiment_folder, folder_name, make_seed_copy, make_start_copy
from catbuilder.rounds.experiment_report import RecursionReport, SeedRun, compare_runs
from catbuilder.rounds.gains_over_seeds import (
    Pair,
    change_sentences,
    curves_table,
    gain_interval,
    gain_sentences,
    paired_curves,
)
from catbuilder.rounds.planning import make_plan
from catbuilder.rounds.run import abandon_round

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="session")
def recipe(tiny_recipe: Path) -> Recipe:
    return load_recipe(tiny_recipe)


def posteriors(wrong: Sequence[int]) -> dict[tuple[str, int], float]:
    """Posterior of spiral of every scored object; HP is right but for the members named, the sure ones first."""
    hp = [0.99 - 0.01 * i if (i % 2 == 1) != (i in wrong) else 0.01 + 0.01 * i for i in range(N_HP)]
    scores = {(survey, first + i): hp[i] for survey, first in (("des", HP_DES), ("sdss", HP_SDSS)) for i in range(N_HP)}
    scores |= {("des", CALIBRATION + i): 0.4 for i in range(N_CALIBRATION)}
    return scores | {("des", POOL + i): 0.9 if i % 2 else 0.1 for i in range(N_POOL)}


def round_by_hand(workspace: Workspace, recipe: Recipe, seed: int, wrong: Sequence[int]) -> None:
    """A closed round whose network errs on these members of HP, in both surveys."""
    finish_by_hand(workspace, make_plan(workspace, recipe, 1, seed, QUIET), posteriors(wrong))


Errors = Sequence[Sequence[Sequence[int]]]  # what each round of each seed gets wrong


def arm_folder(workspace: Workspace, recipe: Recipe, arm: Recipe) -> Path:
    """Folder of an arm in the experiment of a recipe."""
    return experiment_folder(workspace, recipe) / folder_name(arm)


def seeds_by_hand(workspace: Workspace, recipe: Recipe, arm: Recipe, errors: Errors) -> None:
    """Seeds 0, 1 ... of an arm in the experiment of a recipe, done but for the report."""
    start, folder = make_start_copy(workspace, recipe, QUIET), arm_folder(workspace, recipe, arm)
    folder.mkdir()
    for seed, each in enumerate(errors):
        copy = make_seed_copy(start, folder, seed)
        for wrong in each:
            round_by_hand(copy, arm, seed, wrong)


def both_by_hand(workspace: Workspace, recipe: Recipe, errors: Errors, of_control: Errors) -> None:
    """Seeds of a recipe and of its control."""
    seeds_by_hand(workspace, recipe, recipe, errors)
    seeds_by_hand(workspace, recipe, control_of(recipe), of_control)


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def state_of(folder: Path) -> dict[str, str]:
    """Hash of every file of a workspace but for its experiments and stamps."""
    files = (path for path in folder.rglob("*") if path.is_file())
    inside = {str(path.relative_to(folder)): path for path in files}
    return {name: sha256_file(path) for name, path in inside.items() if not name.startswith(("experiments", "stamps"))}


ERRORS = ([(0, 1, 2), (0,)], [(3, 4, 5, 6), (3, 4)], [(0, 9, 11), (0, 9, 11)])
OF_CONTROL = ([(0, 1, 2), (0, 1)], [(3, 4, 5, 6), (3, 4, 5)], [(0, 9, 11), (0, 9)])


@pytest.fixture(scope="module")
def three_seeds(small_survey: Path, tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Workspace:
    """A workspace with three seeds of two rounds each, and their controls, not yet compared."""
    workspace = Workspace.open(shutil.copytree(small_survey, tmp_path_factory.mktemp("seeds") / "ws"))
    both_by_hand(workspace, recipe, ERRORS, OF_CONTROL)
    return workspace


@pytest.fixture
def three_of_its_own(three_seeds: Workspace, tmp_path: Path) -> Workspace:
    """The same, to be changed."""
    return Workspace.open(shutil.copytree(three_seeds.path, tmp_path / "ws", symlinks=True))


@pytest.fixture
def one_seed(three_of_its_own: Workspace, recipe: Recipe) -> Workspace:
    """The same with seed 0 alone."""
    for arm in (recipe, control_of(recipe)):
        for seed in (1, 2):
            shutil.rmtree(arm_folder(three_of_its_own, recipe, arm) / f"seed-{seed:02d}")
    return three_of_its_own


# The whole, as a user runs it


@pytest.mark.slow
def test_killed_seeds_resume_where_they_stopped(catbuilder: CommandLine, tmp_path: Path, workspace: Workspace) -> None:
    catbuilder.recipe = write_recipe(tmp_path / "tiny.toml", batch_size=20, scored_at_once=60, symmetries=1, epochs=1)
    recipe, before = load_recipe(catbuilder.recipe), state_of(workspace.path)
    command = ("experiment", "recursion", "--recipe", catbuilder.recipe, "--rounds", 2, "--seeds")
    catbuilder(*command, 1, expect=-signal.SIGKILL, CATBUILDER_FAULT="evaluate.after_commit")
    folder, beside = (arm_folder(workspace, recipe, arm) for arm in (recipe, control_of(recipe)))
    trained = sha256_file(folder / "seed-00" / "rounds" / "001" / "model.safetensors")
    # other rounds were run by hand, since real ones take their time: the second seed is cut short between its rounds,
    # as is the control of the first, whose first round promoted nothing
    start = Workspace.open(folder.parent / "start")
    beside.mkdir()
    round_by_hand(make_seed_copy(start, folder, 1), recipe, 1, (0, 1))
    for seed, errors in ((0, [(0, 1)]), (1, [(0, 1), (0, 1)])):
        copy = make_seed_copy(start, beside, seed)
        for wrong in errors:
            round_by_hand(copy, control_of(recipe), seed, wrong)
    said = catbuilder(*command, 2)
    assert "round 1 was evaluated but not closed: continuing by its own plan" in said
    assert "tiny, seed 1 (2 of 2): 1 round to run, 1 in all" in said and "over 2 pairs" in said
    assert "tiny-control, seed 0 (1 of 2): 1 round to run, 2 in all" in said
    assert sha256_file(folder / "seed-00" / "rounds" / "001" / "model.safetensors") == trained
    for arm, seed in ((folder, 0), (folder, 1), (beside, 0)):
        copy = Workspace.open(arm / f"seed-{seed:02d}")
        assert rows(copy, "SELECT round, seed, step FROM round_status ORDER BY round") == [
            (1, seed, "closed"), (2, seed, "closed"),
        ]  # fmt: skip
    promoted = "SELECT count(*) FROM labels WHERE source = 'promoted'"
    assert rows(Workspace.open(beside / "seed-00"), promoted) == [(0,)]
    assert sum(finding.count for finding in check(Workspace.open(folder / "seed-00"))) == 0
    assert state_of(workspace.path) == before
    again = catbuilder(*command, 2)
    assert "to run" not in again and "over 2 pairs" in again


# Copies


def test_the_copy_has_no_promotions_and_the_original_does_not_change(workspace: Workspace, recipe: Recipe) -> None:
    round_by_hand(workspace, recipe, seed=3, wrong=())
    before = state_of(workspace.path)
    start = make_start_copy(workspace, recipe, QUIET)
    copy = make_seed_copy(start, start.path.parent, 7)
    promoted = "SELECT count(*) FROM catalog WHERE source = 'promoted'"
    assert rows(workspace, promoted) == [(12,)] and rows(copy, promoted) == [(0,)]
    round_by_hand(copy, recipe, seed=7, wrong=())
    assert rows(copy, "SELECT round FROM rounds ORDER BY round") == [(1,), (2,)], "the new round has the next number"
    assert (copy.path / "stamps").is_symlink() and not Path((copy.path / "stamps").readlink()).is_absolute()
    assert not (copy.path / "rounds" / "001").exists(), "only models are linked, and this round by hand has none"
    after = state_of(workspace.path)
    assert after == before


def test_a_copy_finds_the_models_of_earlier_rounds_and_passes_its_check(workspace: Workspace, recipe: Recipe) -> None:
    round_by_hand(workspace, recipe, seed=3, wrong=())
    file = workspace.round_folder(1) / "model.safetensors"
    file.write_bytes(b"a network")
    with workspace.recording("by hand") as recording:
        recording.con.execute(
            "UPDATE models SET file = 'rounds/001/model.safetensors', sha256 = ?", [sha256_file(file)]
        )
    start = make_start_copy(workspace, recipe, QUIET)
    copy = make_seed_copy(start, start.path.parent, 0)
    assert (copy.path / "rounds" / "001" / "model.safetensors").is_symlink()
    assert [finding.faults for finding in check(copy) if finding.check in ("models", "stamps")] == [(), ()]


def test_experiments_can_be_a_link_to_another_disk(workspace: Workspace, recipe: Recipe, tmp_path: Path) -> None:
    disk = tmp_path / "another" / "disk" / "far"
    disk.mkdir(parents=True)
    (workspace.path / "experiments").symlink_to(disk)
    start = make_start_copy(workspace, recipe, QUIET)
    copy = make_seed_copy(start, start.path.parent, 0)
    for each in (start, copy):
        assert (each.path / "stamps").resolve() == workspace.path / "stamps"
    assert (disk / experiment_folder(workspace, recipe).name / "seed-00").is_dir()


def test_a_start_copy_that_another_process_made_meanwhile_is_used(workspace: Workspace, recipe: Recipe) -> None:
    start = make_start_copy(workspace, recipe, QUIET).path
    aside, made = start.with_name("aside"), sha256_file(start / "catalog.duckdb")
    start.rename(aside)
    hold = "import duckdb; con = duckdb.connect('catalog.duckdb'); print('held', flush=True); input()"
    holder = [sys.executable, "-c", hold]
    with (
        subprocess.Popen(holder, cwd=workspace.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout and process.stdout.readline() == b"held\n"
        second = pool.submit(make_start_copy, workspace, recipe, QUIET)
        time.sleep(0.5)  # it has seen that nothing is there, and waits for the catalogue
        aside.rename(start)
        process.communicate(b"\n")
        assert second.result().path == start
    assert sha256_file(start / "catalog.duckdb") == made


def test_the_accuracy_of_earlier_rounds_of_the_original_does_not_count(workspace: Workspace, recipe: Recipe) -> None:
    round_by_hand(workspace, recipe, seed=3, wrong=range(12))
    both_by_hand(workspace, recipe, [[(0,), ()]], [[(0,), (0,)]])
    ((beside, run),) = run_recursion(workspace, [0], recipe=recipe, reporter=QUIET).comparisons[0].pairs
    assert (run.before_round, run.after_round, run.speaks) == (2, 3, 3)
    assert run.measures["HP", "des", "accuracy", 1.0] == (1 - 1 / N_HP, 1.0)
    assert beside.measures["HP", "des", "accuracy", 1.0] == (1 - 1 / N_HP, 1 - 1 / N_HP)


def test_a_copy_includes_what_is_still_in_the_write_ahead_log(workspace: Workspace, recipe: Recipe) -> None:
    """After a kill between commit and checkpoint the last recording is in catalog.duckdb.wal alone."""
    killed = (
        "import duckdb, os, signal; con = duckdb.connect('catalog.duckdb'); "
        "con.execute(\"INSERT INTO runs SELECT max(run) + 1, 'killed', '', '', now() FROM runs\"); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", killed], cwd=workspace.path)
    assert (workspace.path / "catalog.duckdb.wal").stat().st_size > 0
    start = make_start_copy(workspace, recipe, QUIET)
    assert rows(start, "SELECT count(*) FROM runs WHERE command = 'killed'") == [(1,)]


def test_an_interrupted_copy_is_made_again(workspace: Workspace, recipe: Recipe) -> None:
    folder = experiment_folder(workspace, recipe)
    draft = folder / ".start.draft"
    draft.mkdir(parents=True)
    (draft / "catalog.duckdb").write_bytes(b"half")
    (draft / "stamps").symlink_to("../../../stamps")
    start = make_start_copy(workspace, recipe, QUIET)
    assert rows(start, "SELECT count(*) > 0 FROM objects") == [(True,)]
    assert not draft.exists() and list((workspace.path / "stamps").iterdir()), "the link went, not what it led to"


def test_the_log_of_a_copy_agrees_with_its_catalogue(workspace: Workspace, recipe: Recipe) -> None:
    start = make_start_copy(workspace, recipe, QUIET)
    last = json.loads((start.path / "log.jsonl").read_text().splitlines()[-1])
    assert rows(start, "SELECT max(run) FROM runs") == [(last["run"],)]
    with start.round_lock(), pytest.raises(WorkspaceBusy), start.round_lock():
        pass


def test_all_seeds_start_from_the_same_catalogue_whatever_was_recorded_since(
    workspace: Workspace, recipe: Recipe, capfd: pytest.CaptureFixture[str]
) -> None:
    start = make_start_copy(workspace, recipe, QUIET)
    with workspace.recording("a note of somebody"):
        pass
    again = make_start_copy(workspace, recipe, Reporter())
    assert rows(again, "SELECT count(*) FROM runs WHERE command = 'a note of somebody'") == [(0,)]
    assert "the workspace has changed since this experiment began (recordings: 1)" in capfd.readouterr().err
    assert start == again


# Refusals


def test_an_unfinished_round_of_the_workspace_is_finished_first(workspace: Workspace, recipe: Recipe) -> None:
    make_plan(workspace, recipe, 1, 0, QUIET)
    with pytest.raises(RoundError, match=r"round 1 of .* is planned, not closed; finish it first with: catbuilder"):
        run_recursion(workspace, [0], recipe=recipe, reporter=QUIET)
    assert not (workspace.path / "experiments").exists()


def test_without_known_classes_a_recursion_is_refused(tmp_path: Path, recipe: Recipe) -> None:
    empty = create_workspace(tmp_path / "ws")
    with pytest.raises(InputError, match=r"no test set of .* has known classes"):
        run_recursion(empty, [0], recipe=recipe, reporter=QUIET)


@pytest.mark.parametrize(("seeds", "rounds"), [([], 2), ([0], 1)])
def test_fewer_than_two_rounds_or_no_seed_is_refused(
    three_seeds: Workspace, recipe: Recipe, seeds: list[int], rounds: int
) -> None:
    with pytest.raises(InputError, match="at least two rounds"):
        run_recursion(three_seeds, seeds, rounds, recipe=recipe, reporter=QUIET)


def test_the_same_experiment_is_not_run_twice_at_once(three_seeds: Workspace, recipe: Recipe) -> None:
    lock = experiment_folder(three_seeds, recipe) / "experiment.lock"
    with exclusive_lock(lock, "test"), pytest.raises(WorkspaceBusy, match="is under way"):
        run_recursion(three_seeds, [0], recipe=recipe, reporter=QUIET)


def test_an_abandoned_round_has_no_accuracy(one_seed: Workspace, recipe: Recipe) -> None:
    start, folder = make_start_copy(one_seed, recipe, QUIET), arm_folder(one_seed, recipe, recipe)
    shutil.rmtree(folder / "seed-00")
    copy = make_seed_copy(start, folder, 0)
    make_plan(copy, recipe, 1, 0, QUIET)
    abandon_round(copy)
    with pytest.raises(RoundError, match=r"seed-00 has no accuracy on the test sets; remove that folder"):
        run_recursion(one_seed, [0], recipe=recipe, reporter=QUIET)


def test_seeds_with_another_number_of_ranks_are_refused(three_seeds: Workspace, recipe: Recipe) -> None:
    with pytest.raises(RoundError, match=r"seed 0 was trained with --np 1 .* seeds of --np 2; give --np 1, or remove"):
        run_recursion(three_seeds, [7], recipe=recipe, ranks=2, reporter=QUIET)
    assert not list(experiment_folder(three_seeds, recipe).glob("*/seed-07"))


def test_an_experiment_without_a_control_is_not_continued(workspace: Workspace, recipe: Recipe) -> None:
    start = make_start_copy(workspace, recipe, QUIET)
    make_seed_copy(start, start.path.parent, 0)  # as catbuilder placed it before it ran controls
    with pytest.raises(RoundError, match=r"was made by an older catbuilder, which ran no control; move the folder"):
        run_recursion(workspace, [0], recipe=recipe, reporter=QUIET)


def test_a_recipe_that_is_its_own_control_is_refused(workspace: Workspace, recipe: Recipe) -> None:
    with pytest.raises(ConfigError, match=r"recipe tiny-control promotes nothing and lets no image without a label"):
        run_recursion(workspace, [0], recipe=control_of(recipe), reporter=QUIET)
    assert not (workspace.path / "experiments").exists()


def test_a_workspace_without_the_target_survey_is_refused_before_anything_runs(
    workspace: Workspace, recipe: Recipe, tmp_path: Path
) -> None:
    settings = create_workspace(tmp_path / "other").path / "catbuilder.toml"
    settings.write_text(settings.read_text().replace("[surveys.des]", "[surveys.hsc]"))
    with pytest.raises(ConfigError, match=r"labels the survey 'des', but .*other has .*hsc"):
        run_recursion(workspace, [0], recipe=recipe, workspaces=[tmp_path / "other"], reporter=QUIET)
    assert not (workspace.path / "experiments").exists()


# What is reported


def test_the_tables_agree_with_numpy_and_a_paired_t_test(three_seeds: Workspace, recipe: Recipe) -> None:
    report = run_recursion(three_seeds, [0, 1, 2], recipe=recipe, reporter=QUIET)
    written = {
        (row["test_set"], row["survey"], row["measure"], float(row["coverage"])): row
        for row in read_csv(report.folder / "recursion-2-rounds.csv")
    }
    before, arm = (np.array([1 - len(each[n]) / N_HP for each in ERRORS]) for n in (0, 1))
    control = np.array([1 - len(second) / N_HP for _, second in OF_CONTROL])
    interval = stats.ttest_rel(arm, control).confidence_interval(0.95)
    change = stats.ttest_rel(arm, before).confidence_interval(0.95)
    expected = {
        "n_pairs": 3, "n_workspaces": 1, "control_mean": control.mean(), "control_std": control.std(ddof=1),
        "arm_mean": arm.mean(), "arm_std": arm.std(ddof=1), "gain_mean": (arm - control).mean(),
        "gain_low": interval.low, "gain_high": interval.high, "arm_change_mean": (arm - before).mean(),
        "arm_change_low": change.low, "arm_change_high": change.high,
        "control_change_mean": (control - before).mean(),
    }  # fmt: skip
    for survey in ("des", "sdss"):
        row = written["HP", survey, "accuracy", 1.0]
        assert {name: float(row[name]) for name in expected} == pytest.approx(expected)
        assert (row["arm"], row["workspaces_low"]) == ("tiny", ""), "one workspace has no interval over workspaces"
    assert {test_set for test_set, *_ in written} == {"HP"}, "the validation set is no test set"
    assert [key[3] for key in written if key[:3] == ("HP", "des", "auc")] == [1.0]
    runs = read_csv(report.folder / "seeds-2-rounds.csv")
    assert [(row["arm"], row["seed"], row["ended_early"]) for row in runs] == [
        (arm, seed, "false") for arm in ("tiny", "tiny-control") for seed in "012"
    ]
    assert runs[0]["folder"] == f"experiments/{report.folder.name}/{folder_name(recipe)}/seed-00"
    assert [float(row["HP_des_accuracy_1_last"]) for row in runs] == pytest.approx([*arm, *control])
    assert [row["promoted_in_training"] for row in runs] == ["12"] * 3 + ["0"] * 3
    with Image.open(report.folder / "recursion-2-rounds.png") as picture:
        assert picture.width > 800 and len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50


def test_the_gain_is_told_first_and_what_changed_since_round_one_is_none(
    three_of_its_own: Workspace, recipe: Recipe
) -> None:
    all_three = run_recursion(three_of_its_own, [2, 0, 1], recipe=recipe, reporter=QUIET)
    for arm in (recipe, control_of(recipe)):
        shutil.rmtree(all_three.folder / folder_name(arm) / "seed-02")
    both = run_recursion(three_of_its_own, [0, 1], recipe=recipe, reporter=QUIET).sentences()
    assert any(
        line.startswith("HP of des, all: 89.58 % control, 93.75 % tiny; a gain of +4.17 points (95 %") for line in both
    )
    assert both[4] == (
        "tiny: 2 seeds in one workspace, on the same labels and test galaxies: nothing can be concluded about other "
        "galaxies or another sky. Give --workspaces."
    )
    assert both[5] == (
        "HP of des, all: change since round 1, which another training alone may cause: +8.33 points for tiny "
        "(95 % interval +8.33 to +8.33), +4.17 for control."
    )
    assert not any("gain" in line for line in both[5:])
    assert any(
        "HP of des, all" in line and "is not resolved" in line and "includes 0" in line
        for line in all_three.sentences()
    )


def test_a_later_call_still_reports_all_finished_seeds(three_of_its_own: Workspace, recipe: Recipe) -> None:
    report = run_recursion(three_of_its_own, [1], recipe=recipe, reporter=QUIET)
    assert [run.seed for _, run in report.comparisons[0].pairs] == [0, 1, 2]
    before = (report.folder / "recursion-2-rounds.csv").read_bytes()
    for arm in (recipe, control_of(recipe)):
        round_by_hand(Workspace.open(report.folder / folder_name(arm) / "seed-02"), arm, 2, ())
    longer = run_recursion(three_of_its_own, [2], 3, recipe=recipe, reporter=QUIET)
    assert [(run.seed, run.after_round) for _, run in longer.comparisons[0].pairs] == [(2, 3)]
    assert read_csv(report.folder / "seeds-3-rounds.csv")[0]["after_round"] == "3"
    assert (report.folder / "recursion-2-rounds.csv").read_bytes() == before
    again = run_recursion(three_of_its_own, [0], recipe=recipe, reporter=QUIET)
    assert (again.folder / "recursion-2-rounds.csv").read_bytes() == before, "the third round of seed 2 does not count"


def test_one_seed_has_no_interval_and_concludes_nothing(one_seed: Workspace, recipe: Recipe) -> None:
    report = run_recursion(one_seed, [0], recipe=recipe, reporter=QUIET)
    assert report.table["gain_low"].null_count == report.table.num_rows
    row = read_csv(report.folder / "recursion-2-rounds.csv")[0]
    assert row["gain_low"] == row["gain_high"] == row["arm_std"] == "" and row["n_pairs"] == "1"
    said = report.sentences()
    assert said[1].endswith("; a difference of +4.17 points in one pair, which may be chance.")
    assert any(line.startswith("tiny: one seed in one workspace, from which nothing can be concluded") for line in said)


def test_json_output_has_only_the_table_and_sentences_go_to_stderr(three_seeds: Workspace, tiny_recipe: Path) -> None:
    done = cli(
        "-w", three_seeds.path, "experiment", "recursion", "--seeds", 3, "--recipe", tiny_recipe, "--format", "csv"
    )
    found = list(csv.DictReader(done.out.splitlines()))
    assert done.code == 0 and [(row["survey"], row["measure"], row["coverage"]) for row in found] == [
        ("des", "accuracy", "0.5"), ("des", "accuracy", "1"), ("sdss", "accuracy", "0.5"), ("sdss", "accuracy", "1"),
        ("des", "auc", "1"), ("sdss", "auc", "1"),
    ]  # fmt: skip
    assert "HP of des, surest half" in done.err and "recursion-2-rounds.png" in done.err


def test_further_arms_are_compared_with_the_same_control_and_stay_in_the_report(
    three_of_its_own: Workspace, recipe: Recipe, tiny_recipe: Path
) -> None:
    named = f"{tiny_recipe}:promotion.per_class=5, augmentation.noise=0.1"
    other = load_arm(named)
    assert (other.name, other.promotion.per_class) == ("tiny:promotion.per_class=5, augmentation.noise=0.1", 5)
    seeds_by_hand(three_of_its_own, recipe, other, [[(0, 1, 2), ()]])
    report = run_recursion(three_of_its_own, [0], recipe=recipe, arms=[named], reporter=QUIET)
    again = run_recursion(three_of_its_own, [0], recipe=recipe, reporter=QUIET)
    for each in (report, again):
        first, second = each.comparisons
        assert (first.arm, len(first.pairs)) == ("tiny", 3)
        assert (second.arm, [run.seed for _, run in second.pairs]) == (other.name, [0])
        assert second.pairs[0][0].copy.parent.name == folder_name(control_of(recipe))
    assert {row["arm"] for row in again.summary.to_pylist()} == {"tiny", other.name}
    assert any("per_class=5" in line and "one seed in one workspace" in line for line in again.sentences())


def test_pairs_of_several_workspaces_are_put_together(
    three_of_its_own: Workspace, recipe: Recipe, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sky = Workspace.open(shutil.copytree(three_of_its_own.path, tmp_path / "sky", symlinks=True))
    for arm in (recipe, control_of(recipe)):
        shutil.rmtree(arm_folder(sky, recipe, arm) / "seed-02")
    report = run_recursion(three_of_its_own, [0, 1], recipe=recipe, workspaces=[sky.path], reporter=QUIET)
    (row,) = [
        r for r in report.table.to_pylist() if (r["survey"], r["measure"], r["coverage"]) == ("des", "accuracy", 1)
    ]
    assert (row["n_pairs"], row["n_workspaces"]) == (5, 2)
    gains = np.array([(2 - 1) / N_HP, (3 - 2) / N_HP, (2 - 3) / N_HP])
    interval = stats.ttest_1samp([gains.mean(), gains[:2].mean()], 0).confidence_interval(0.95)
    assert (row["workspaces_low"], row["workspaces_high"]) == pytest.approx((interval.low, interval.high))
    assert any("over 5 pairs, " in line and "over the means of 2 workspaces" in line for line in report.sentences())
    table = (report.folder / "recursion-2-rounds.csv").read_bytes()
    again = run_recursion(three_of_its_own, [0], recipe=recipe, reporter=QUIET)
    assert (again.folder / "recursion-2-rounds.csv").read_bytes() == table, "the other workspace is remembered"
    assert len(run_recursion(sky, [0], recipe=recipe, reporter=QUIET).comparisons[0].pairs) == 2
    shutil.rmtree(sky.path)
    alone = run_recursion(three_of_its_own, [0], recipe=recipe, reporter=Reporter())
    assert len(alone.comparisons[0].pairs) == 3
    assert "sky are not there any more; their seeds are left out" in capfd.readouterr().err


def test_the_last_round_of_a_run_that_ended_early_counts(one_seed: Workspace, recipe: Recipe) -> None:
    workspace = one_seed
    copy = Workspace.open(arm_folder(workspace, recipe, recipe) / "seed-00")
    with copy.recording("by hand") as recording:
        details = json.dumps({"promoted": {}, "retracted": 0})
        recording.con.execute("UPDATE steps SET details = ? WHERE round = 2 AND step = 'decided'", [details])
    report = run_recursion(workspace, [0], 2, recipe=recipe, reporter=QUIET)
    assert not report.comparisons[0].pairs[0][1].ended_early, "it has run as many rounds as were asked for"
    control = Workspace.open(arm_folder(workspace, recipe, control_of(recipe)) / "seed-00")
    round_by_hand(control, control_of(recipe), 0, (0, 1))
    longer = run_recursion(workspace, [0], 3, recipe=recipe, reporter=QUIET)
    ((beside, run),) = longer.comparisons[0].pairs
    assert (run.ended_early, run.after_round, beside.ended_early, beside.after_round) == (True, 2, False, 3)
    assert (
        "Ended early, with nothing left to promote or retract, so that the last round counts: tiny, seed 0"
        in " ".join(longer.sentences())
    )


def test_what_speaks_after_the_last_round_is_compared(three_of_its_own: Workspace, recipe: Recipe) -> None:
    copy = Workspace.open(arm_folder(three_of_its_own, recipe, recipe) / "seed-00")
    with copy.recording("by hand") as recording:
        recording.con.execute("INSERT INTO refusals VALUES (2, 'worse', 2, ?)", [recording.run])
    report = run_recursion(three_of_its_own, [0], recipe=recipe, reporter=QUIET)
    run = report.comparisons[0].pairs[0][1]
    assert (run.after_round, run.speaks) == (2, 1)
    assert run.measures["HP", "des", "accuracy", 1.0] == (1 - 3 / N_HP, 1 - 3 / N_HP)
    assert report.sentences()[-1] == (
        "The model of an earlier round speaks at the end, and its accuracy counts: tiny, seed 0 (that of round 1)."
    )


def test_colour_is_compared_with_grey_seed_by_seed(three_of_its_own: Workspace, recipe: Recipe) -> None:
    grey_recipe = grey_version(recipe)
    seeds_by_hand(three_of_its_own, recipe, grey_recipe, [[(), (0, 1, 2)], [(), (0, 1)]])
    report = compare_with_grey(three_of_its_own, [0, 1], recipe=recipe, reporter=QUIET)
    (compared,) = report.comparisons
    assert [run.seed for run, _ in compared.pairs] == [0, 1], "the colour seed 2 has no grey one beside it"
    row = next(
        row
        for row in read_csv(report.folder / "grey-2-rounds.csv")
        if row["coverage"] == "1" and row["survey"] == "des"
    )
    assert float(row["grey_mean"]) == pytest.approx(1 - 2.5 / N_HP)
    assert float(row["colour_mean"]) == pytest.approx(1 - 1.5 / N_HP)
    assert float(row["gain_mean"]) == pytest.approx(1 / N_HP)
    assert any("grey" in line and "colour" in line for line in report.sentences())
    assert (report.folder / "grey-2-rounds.png").is_file()
    assert [(row["arm"], row["seed"]) for row in read_csv(report.runs_file)] == [
        ("tiny", "0"), ("tiny", "1"), ("tiny-grey", "0"), ("tiny-grey", "1"),
    ]  # fmt: skip
    recursion = run_recursion(three_of_its_own, [0], recipe=recipe, reporter=QUIET)
    assert [comparison.arm for comparison in recursion.comparisons] == ["tiny"], "grey is no arm of the recursion"
    with pytest.raises(ConfigError, match=r"network.grey = true already"):
        grey_version(grey_recipe)


def test_runs_that_ended_early_are_listed_for_grey_and_colour() -> None:
    points = {("HP", "des", "accuracy", 1.0): (0.5, 0.75)}
    greys = [SeedRun("grey", Path(), seed, Path(f"grey-{seed}"), 1, 2, 2, seed == 3, 0, 0, points) for seed in (3, 4)]
    colours = [
        dataclasses.replace(run, arm="colour", copy=Path(f"colour-{run.seed}"), ended_early=run.seed == 4)
        for run in greys
    ]
    compared = compare_runs("colour", "grey", colours, greys)
    assert compared is not None
    report = RecursionReport(Path(), "grey-3-rounds", ("grey", "colour"), (compared,), Path())
    assert report.sentences()[-1].endswith("last round counts: colour, seed 4 (round 2); grey, seed 3 (round 2).")


def pairs_of(*values: tuple[float, float], coverage: float = 1.0, first: float = 0.5) -> list[Pair]:
    """Pairs of one workspace with these accuracies of control and arm after the last round."""
    point = ("HP", "des", "accuracy", coverage)
    return [Pair("ws", {point: (first, control)}, {point: (first, arm)}) for control, arm in values]


def test_the_interval_is_that_of_the_differences_and_not_of_the_means() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(0.9, 0.05, 10)
    gain = rng.normal(0.01, 0.002, 10)
    (curve,) = paired_curves(pairs_of(*zip(first.tolist(), (first + gain).tolist(), strict=True)))
    mean, low, high = gain_interval(curve.gain)
    expected = stats.ttest_1samp(gain, 0).confidence_interval(0.95)
    assert (low[0], mean[0], high[0]) == pytest.approx((expected.low, gain.mean(), expected.high))
    assert low[0] > 0, "the seeds differ by five points, and a gain of one is still resolved"


def test_equal_states_get_no_interval() -> None:
    table = curves_table(paired_curves(pairs_of((0.875, 0.875), (1.0, 1.0))), ("grey", "colour"))
    assert gain_sentences(table, ("grey", "colour")) == [
        "HP of des, all: 93.75 % grey, 93.75 % colour; equal in each of 2 pairs."
    ]


def test_a_change_that_arm_and_control_share_is_no_gain() -> None:
    table = curves_table(paired_curves(pairs_of((0.75, 0.75), (0.875, 0.875))), ("control", "arm"))
    assert gain_sentences(table, ("control", "arm"))[0].endswith("equal in each of 2 pairs.")
    (changed,) = change_sentences(table, ("control", "arm"), ("control", "real"))
    assert "another training alone may cause: +31.25 points for real" in changed and "+31.25 for control" in changed


def test_a_gain_in_the_seeds_of_two_workspaces_that_differ_is_not_resolved() -> None:
    pairs = [
        dataclasses.replace(pair, workspace=name)
        for name, gain in (("a", 0.02), ("b", 0.08))
        for pair in pairs_of(*[(0.8, 0.8 + gain + 0.001 * n) for n in range(6)])
    ]
    table = curves_table(paired_curves(pairs), ("control", "arm"))
    assert table["gain_low"][0].as_py() > 0 > table["workspaces_low"][0].as_py()
    assert "is not resolved" in gain_sentences(table, ("control", "arm"))[0]


def test_pairs_are_compared_at_the_coverages_that_all_of_them_have() -> None:
    points = [{("HP", "des", "accuracy", c): (0.9, 0.9) for c in each} for each in ((0.25, 0.5, 1.0), (0.5, 1.0))]
    fo = {("FO", "des", "accuracy", 1.0): (0.7, 0.8)}
    pairs = [Pair("a", points[0], points[0]), Pair("b", points[1] | fo, points[1] | fo)]
    found = {curve.test_set: (len(curve.first), curve.coverage.tolist()) for curve in paired_curves(pairs)}
    assert found == {"HP": (2, [0.5, 1.0]), "FO": (1, [1.0])}, "a set that one workspace lacks is compared in the other"


# Recipes of the arms


def test_the_control_is_the_recipe_without_promotion_and_with_labelled_images_in_place_of_those_that_teach(
    recipe: Recipe, tiny_recipe: Path
) -> None:
    assert control_of(recipe).differing_keys(recipe) == ["name", "promotion.policy"]
    teaching = load_recipe(tiny_recipe, ["teaching.images=100"])
    control = control_of(teaching)
    assert control.differing_keys(teaching) == ["name", "teaching.source", "promotion.policy"]
    assert control.teaching is not None and (control.teaching.source, control.teaching.images) == ("labelled", 100)
    assert control.name == "tiny-control" and control.promotion.policy == "none"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (":members=3", "names no recipe; write NAME:KEY=VALUE"),
        ("demoo", "there is no recipe named 'demoo'"),
        ("demo:members=0", "members"),
        ("demo:sets.calibration=0.5", "would have no effect"),
    ],
)
def test_an_arm_that_cannot_be_read_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_arm(text)
