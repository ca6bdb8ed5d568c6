"""Read everything that a report needs from the catalogue, at once, so that no other command waits for the drawing.

Rounds and test sets are read completely. Of the scored objects a sample is read, chosen by a hash of survey and id, so
that it is the same each time and stays small in any survey.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row, literal_path
from catbuilder.catalogue.features import feature_files
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.round_records import require_closed
from catbuilder.catalogue.schema import data_dictionary
from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.resources import query
from catbuilder.exports.provenance import ProvenanceEntry, collect_provenance

SAMPLE = 20_000  # scored objects: more than a figure can show as points, and read within a second
STAMPS_A_ROW = 8  # of a mosaic
MOSAIC_ROUNDS = 3  # the latest rounds, which have a mosaic each; earlier ones are in their own reports (--at)
_RECORDINGS = 30


@dataclass(frozen=True)
class ReportData:
    """What a report shows of the catalogue as of the end of one round."""

    workspace: Workspace
    at: int  # the round; 0 if none has been closed
    model: int  # the latest model with scores; 0 if there is none
    target: str  # survey that the rounds label
    open_round: int | None  # a round that is not closed yet
    rounds: list[dict[str, Any]]
    recipe: str  # of round `at`, as JSON
    curves: pa.Table
    test_scores: Mapping[int, pa.Table]  # of the first measured model and of the latest
    trained_tests: int  # test galaxies that a round has trained on; they are not in `test_scores`
    promotions: list[dict[str, Any]]
    picks: list[dict[str, Any]]  # objects shown in mosaics, with the place of their stamps
    featured: pa.Table | None  # objects of HP and the pool whose features were kept
    scored: int  # objects that the model has scored
    sample: pa.Table  # of the scored objects
    measured: pa.Table  # the columns of the DES catalogue for the sample
    units: Mapping[str, str]  # of these columns
    facts: list[ProvenanceEntry]
    recordings: pa.Table

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.workspace.config.classes

    @property
    def first_model(self) -> int:
        """The first model that was measured on a test set; 0 if there is none."""
        return min(self.test_scores, default=0)

    @property
    def memorised_warning(self) -> str:
        """A warning if a round has trained on test galaxies, else an empty text."""
        if not self.trained_tests:
            return ""
        return (
            f" Warning: a round has trained on {self.trained_tests:,} of these test galaxies, which the network may "
            "have memorised, so these accuracies are too high; changes and errors below leave those galaxies out."
        )

    def of_target(self) -> pa.Table:
        """Return the sampled objects of the target survey and population, without test sets."""
        keep = [
            row["survey"] == self.target and row["domain"] == "in" and row["test_set"] is None
            for row in self.sample.select(["survey", "domain", "test_set"]).to_pylist()
        ]
        return self.sample.filter(pa.array(keep, pa.bool_()))


def read_report_data(workspace: Workspace, at: int | None = None) -> ReportData:
    """Read what a report needs as of the end of round `at`, by default the last closed one.

    Raises
    ------
    RoundError
        There is no round `at`, or it is not closed.
    """
    with workspace.reading() as con:
        if at is not None:
            require_closed(con, at)
        last = fetch_number(con, "SELECT coalesce(max(round), 0) FROM round_status WHERE step = 'closed'")
        return _read(con, workspace, last if at is None else at)


def embedded_set(names: Sequence[str]) -> str | None:
    """Return the test set of the t-SNE: HP, as in figure 5 of the paper, or else the first."""
    return "HP" if "HP" in names else next(iter(names), None)


def _read(con: Connection, workspace: Workspace, at: int) -> ReportData:
    model = fetch_number(con, "SELECT coalesce(speaker_at(?), 0)", [at])
    (unfinished,) = first_row(con, "SELECT min(round) FROM round_status WHERE step <> 'closed'") or (None,)
    target, recipe = _plan(con, workspace, at)
    rounds = fetch_arrow(con, query("reports/report_rounds"), {"at": at}).to_pylist()
    numbers = {"rounds": [row["round"] for row in rounds]}
    curves = fetch_arrow(con, query("decisions/accuracy_curves"), numbers)
    # a test set may have been declared after the first round, so both models are from rounds in the curves
    first = min(curves["round"].to_pylist(), default=model)
    scores = {
        n: fetch_arrow(con, query("reports/report_test_scores"), {"model": n, "at": at}) for n in {first, model} - {0}
    }
    scored = fetch_number(
        con, "SELECT coalesce(sum(scored), 0) FROM scorings WHERE model = ? AND round <= ?", [model, at]
    )
    sample, measured = _sample(con, at, model, scored)
    return ReportData(
        workspace, at, model, target, unfinished, rounds, recipe,
        curves, scores, fetch_number(con, query("reports/report_trained_tests"), {"at": at}),
        fetch_arrow(con, query("reports/report_promotions"), {"at": at}).to_pylist(),
        _picks(con, at, numbers["rounds"]),
        _featured(con, workspace, at, model), scored, sample, measured,
        {column.name: column.unit for column in data_dictionary(con, "des_coadd")},
        collect_provenance(con, workspace, at, None),
        fetch_arrow(con, query("reports/report_recordings"), {"at": at, "most": _RECORDINGS}),
    )  # fmt: skip


def _plan(con: Connection, workspace: Workspace, at: int) -> tuple[str, str]:
    """Return the target survey, and the recipe of the round as JSON."""
    row = first_row(con, "SELECT plan -> '$.recipe', plan ->> '$.recipe.sets.target' FROM rounds WHERE round = ?", [at])
    if row is None:
        surveys = list(workspace.config.surveys)
        return "des" if "des" in surveys else surveys[0], ""
    return str(row[1]), json.dumps(json.loads(row[0]), indent=1)


def _sample(con: Connection, at: int, model: int, scored: int) -> tuple[pa.Table, pa.Table]:
    step = max(1, scored // SAMPLE)
    parameters = {"model": model, "at": at, "step": step, "most": SAMPLE}
    con.execute(f"CREATE OR REPLACE TEMP TABLE report_drawn AS {query('reports/report_drawn')}", parameters)
    with restricted_to(con, "report_drawn"):
        return fetch_arrow(con, query("reports/report_objects"), {"at": at}), fetch_arrow(
            con, query("reports/report_measured")
        )


def _picks(con: Connection, at: int, rounds: Sequence[int]) -> list[dict[str, Any]]:
    latest = {"rounds": list(rounds[-MOSAIC_ROUNDS:]), "n": STAMPS_A_ROW}
    picks = fetch_arrow(con, query("reports/report_picks"), latest).to_pylist()
    objects = pa.table(
        {
            "survey": pa.array([pick["survey"] for pick in picks], pa.string()),
            "object_id": pa.array([pick["object_id"] for pick in picks], pa.int64()),
        }
    )
    con.register("report_picked", objects)
    con.execute("CREATE OR REPLACE TEMP TABLE report_shown AS SELECT DISTINCT * FROM report_picked")
    with restricted_to(con, "report_shown"):
        stamps = fetch_arrow(con, query("reports/report_stamps"), {"at": at}).to_pylist()
    con.unregister("report_picked")
    place = {(stamp["survey"], stamp["object_id"]): (stamp["shard"], stamp["row"]) for stamp in stamps}
    return [
        pick | dict(zip(("shard", "row"), place[pick["survey"], pick["object_id"]], strict=True))
        for pick in picks
        if (pick["survey"], pick["object_id"]) in place
    ]


def _featured(con: Connection, workspace: Workspace, at: int, model: int) -> pa.Table | None:
    files = [literal_path(file) for file in feature_files(workspace.round_folder(model))] if model else []
    sets = con.execute(
        "SELECT DISTINCT test_set FROM test_sets WHERE truth IS NOT NULL AND round <= ? ORDER BY test_set DESC", [at]
    ).fetchall()
    name = embedded_set([test_set for (test_set,) in sets])
    if not files:
        return None
    con.execute(
        "CREATE OR REPLACE TEMP TABLE report_kept AS "
        "SELECT DISTINCT survey, object_id FROM read_parquet($files, hive_partitioning = false)",
        {"files": files},
    )
    with restricted_to(con, "report_kept"):
        return fetch_arrow(con, query("reports/report_featured"), {"test_set": name, "at": at})
