"""Whom to ask about next: objects for a person to label, blind.

A list tells where an object is and what its image file is called, never what was predicted, and its order says nothing
of it either: who knows what the network thinks agrees with it too often. What was asked is kept in the table `queue`,
with the strategy, what the answer is for, and, where chance has drawn, with which probability.

The rule for answers: what was drawn at random *for calibration* leaves the pool, calibrates, and is never trained on;
every other answer trains, and never calibrates. What was chosen because a network was in doubt about it says nothing of
how often networks err (`calibration_at` in `sql/views.sql` keeps to the rule, and `catbuilder check` proves it).
"""

import csv
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.active_learning.candidates import (
    DOUBTS,
    drawn_at_random,
    forget_asked,
    most_doubtful,
    newest_model,
    with_features,
)
from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.last_numbers import last_recording
from catbuilder.catalogue.workspace import Workspace, replace_older
from catbuilder.core.errors import InputError, NothingToAsk
from catbuilder.core.files import atomic_write
from catbuilder.core.recipe import load_recipe
from catbuilder.core.resources import query

Purpose = Literal["training", "calibration"]

# Each with the reason for which it may find nobody to ask about.
_NOBODY = "the pool has no object with a good stamp and without a label that was not asked about already"
STRATEGIES = {
    "audit": "every object that was drawn from a certified batch has its answer, or none was drawn; to be asked "
    "about the pool, give --strategy random, or margin once a round has scored it",
    **dict.fromkeys((*DOUBTS, "typical", "coverage", "random"), _NOBODY),
}
DEFAULT_N = 50


def select_objects(
    workspace: Workspace,
    strategy: str = "audit",
    n: int | None = None,
    *,
    purpose: Purpose = "training",
    survey: str | None = None,
) -> pa.Table:
    """Objects to be labelled: survey, object_id, name, ra, dec (ICRS, deg), file, and label and annotator left empty.

    The same objects come again until they have an answer; of those that a model has chosen, until a newer model has
    scored. Only what is missing to n is chosen anew, and recorded.

    Parameters
    ----------
    strategy : 'audit', what was drawn from the certified batches and nobody has answered; or, from the pool without a
        label (good stamp, target population, free of the firewall): 'margin', 'entropy' or 'mutual_information', what
        the newest model is most in doubt about; 'typical' or 'coverage', what its features are dense in or leave
        uncovered; 'random'
    n : at most so many; None for all of an audit, or else 50
    purpose : 'calibration' puts what is drawn at random among the calibration objects
    survey : only objects of this survey

    Raises
    ------
    InputError
        Another strategy, or one that looks at predictions, for calibration.
    NothingToAsk
        There is no model, ensemble or feature to choose by.
    """
    _refuse(strategy, purpose)
    if survey is not None:
        workspace.check_survey(survey)
    if strategy == "audit":
        return open_questions(workspace, "audit", n)
    limit = DEFAULT_N if n is None else n
    guard_tests(workspace)
    asked = open_questions(workspace, strategy, limit, purpose=purpose, survey=survey)
    if asked.num_rows < limit and _ask_more(workspace, strategy, limit - asked.num_rows, purpose, survey):
        asked = open_questions(workspace, strategy, limit, purpose=purpose, survey=survey)
    return asked


def open_questions(
    workspace: Workspace,
    strategy: str | None = None,
    n: int | None = None,
    *,
    purpose: Purpose | None = None,
    survey: str | None = None,
) -> pa.Table:
    """What people were asked and nobody has answered yet, in the columns of `select_objects`; chooses nothing new.

    Parameters
    ----------
    strategy, purpose, survey : only questions of this strategy, purpose and survey; by default all, audits first
    n : at most so many
    """
    with workspace.reading() as con:
        found = []
        if strategy in (None, "audit") and purpose is None:
            con.execute(f"CREATE OR REPLACE TEMP TABLE batches AS {query('active_learning/questions_batches')}")
            con.execute(f"CREATE OR REPLACE TEMP TABLE audited AS {query('decisions/audit_objects')}")
            with restricted_to(con, "audited"):
                audit = fetch_arrow(con, query("active_learning/questions_audit"), {"n": n})
            found.append(audit if survey is None else audit.filter(pc.equal(audit["survey"], survey)))
        if strategy != "audit":
            about = {"strategy": strategy, "purpose": purpose, "survey": survey, "n": n, "model": newest_model(con)}
            con.execute(f"CREATE OR REPLACE TEMP TABLE looked_at AS {query('active_learning/questions_looked_back')}")
            with restricted_to(con, "looked_at"):
                found.append(fetch_arrow(con, query("active_learning/questions_open"), about))
    return pa.concat_tables(found).slice(0, n)


def write_questions(objects: pa.Table, file: Path) -> None:
    """Write what `select_objects` gives as CSV, to be filled in and read by `labels.import_labels`.

    Raises
    ------
    InputError
        The file is there already: there may be answers in it.
    """
    if file.exists():
        raise InputError(f"{file} exists, and there may be answers in it; import it and move it away, or name another")
    with atomic_write(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, objects.column_names)
        writer.writeheader()
        writer.writerows(objects.to_pylist())


def guard_tests(workspace: Workspace) -> None:
    """Let the firewall look at what has come in since it last did, so that nobody is asked about a test galaxy."""
    text = (
        "SELECT run, CAST(plan ->> '$.recipe.firewall.radius_arcsec' AS DOUBLE) FROM rounds ORDER BY round DESC LIMIT 1"
    )
    with workspace.reading() as con:
        run, radius = first_row(con, text) or (0, load_recipe(workspace.config.recipe).firewall.radius_arcsec)
        fresh = fetch_number(con, query("active_learning/questions_unguarded"), {"run": run})
    if fresh:
        from catbuilder.sets.firewall import update_firewall  # SciPy and scikit-learn take a second to import

        update_firewall(workspace, radius)


def as_purpose(text: str) -> Purpose:
    """A purpose of the two there are, from the command line.

    Raises
    ------
    InputError
        Another one.
    """
    for purpose in get_args(Purpose):
        if text == purpose:
            return purpose
    raise InputError(f"answers cannot be for '{text}'; use training or calibration")


def _refuse(strategy: str, purpose: Purpose) -> None:
    if strategy not in STRATEGIES:
        *most, last = STRATEGIES
        raise InputError(f"there is no strategy '{strategy}' of selection; use {', '.join(most)} or {last}")
    if purpose == "calibration" and strategy != "random":
        raise InputError(
            f"what was chosen by '{strategy}' cannot calibrate, since it is no random sample of the pool; use "
            "--strategy random for calibration, or let the answers train"
        )


def _ask_more(workspace: Workspace, strategy: str, n: int, purpose: str, survey: str | None) -> int:
    """Choose up to n more objects and record them; how many there were."""
    with workspace.reading() as con:
        model = None if strategy == "random" else _require_model(con, strategy)
        chosen, probability = _choose(con, workspace, strategy, n, model, survey)
    if not chosen.num_rows:
        return 0
    with workspace.recording(f"select --strategy {strategy}") as recording:
        recording.con.register("chosen", chosen)
        place: dict[str, object] = {"round": recording.round, "run": recording.run}
        asked = {"strategy": strategy, "purpose": purpose, "probability": probability, "model": model}
        recording.con.execute(query("active_learning/questions_record"), place | asked)
        if purpose == "calibration":
            recording.con.execute(query("active_learning/questions_split"), place)
            replace_older(recording, "splits")
        recording.con.unregister("chosen")
    return int(chosen.num_rows)


def _require_model(con: Connection, strategy: str) -> int:
    model = newest_model(con)
    if model is None:
        raise NothingToAsk(
            f"the strategy {strategy} asks what a model makes of the pool, and no round has scored it yet; run one "
            "(catbuilder round), or use --strategy random"
        )
    return model


def _choose(
    con: Connection, workspace: Workspace, strategy: str, n: int, model: int | None, survey: str | None
) -> tuple[pa.Table, float | None]:
    """Objects by a strategy (survey, object_id), and with which chance each was drawn, if by chance."""
    forget_asked(con, model, at_random=model is None)
    if model is None:
        draw = last_recording(con)
        return drawn_at_random(con, n, f"ask {draw}", survey)
    if strategy in DOUBTS:
        return most_doubtful(con, strategy, model, n, survey), None
    from catbuilder.active_learning.diversity import covering, typical  # scikit-learn takes a second to import

    objects, features, labelled = with_features(con, workspace, model, survey)
    chosen = typical(features, labelled, n) if strategy == "typical" else covering(features, labelled, n)
    return objects.take(chosen), None
