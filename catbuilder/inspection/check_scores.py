"""Compare the scores that the catalogue has recorded with the score files of each model, for `check --deep`."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from catbuilder.catalogue.connection import Connection, fetch_number, literal_path
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query
from catbuilder.network.jobs import shard_files
from catbuilder.rounds.scoring import calibrated_sql, replaced_posteriors

LISTED = 10  # differing objects of each model


def differing_scores(con: Connection, workspace: Workspace, plan: RoundPlan) -> tuple[list[str], int]:
    """List recorded scores of a round's model that differ from its score files, and count them all.

    Call it only if the files are those that were written, by their hashes.
    """
    if not fetch_number(con, "SELECT count(*) FROM scorings WHERE model = ?", [plan.round]):
        return [], 0
    files = _score_files(workspace, plan.round)
    if not files:
        return [f"the model of round {plan.round} has recorded scores and no score files"], 1
    found = _unlike_files(con, plan, files)
    given = {"model": plan.round, "n": LISTED}
    text = query("inspection/differing_confidences").format(calibrated=calibrated_sql(con, plan, recorded=True))
    confidences = con.execute(text, given).fetchall()
    said = [f"{survey} {number}: its score by the model of round {plan.round} is not the one in the score files"
            for survey, number, _ in found]  # fmt: skip
    said += [f"{survey} {number}: its calibrated confidence is not what the calibrator of round {plan.round} gives"
             for survey, number, _ in confidences]  # fmt: skip
    return said, sum(rows[0][2] for rows in (found, confidences) if rows)


def _unlike_files(con: Connection, plan: RoundPlan, files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Find recorded scores without an equal one in the files; a `score` that was killed may have left files besides."""
    names = pq.read_schema(files[0]).names
    given = {"model": plan.round, "files": [literal_path(file) for file in files]}
    columns = ", ".join(f'"{name}"' for name in names)
    replaced = replaced_posteriors(con, plan)
    recorded, written = con.execute(
        query("inspection/fingerprints_of_scores").format(columns=columns, replaced=replaced), given
    ).fetchall()
    if recorded == written:
        return []
    same = " AND ".join(f'recorded."{name}" IS NOT DISTINCT FROM written."{name}"' for name in names)
    text = query("inspection/differing_scores").format(columns=columns, same=same, replaced=replaced)
    return con.execute(text, {**given, "n": LISTED}).fetchall()


def _score_files(workspace: Workspace, number: int) -> list[Path]:
    """List the files of the round's own scoring and of later ones by its model (`catbuilder score`)."""
    folder = workspace.round_folder(number)
    found = (hashes for place in (folder, *folder.glob("later/*")) for hashes in place.glob("scores/hashes-*.json"))
    return sorted(shard_files(one.parent, int(one.stem.removeprefix("hashes-")))["scores"] for one in found)
