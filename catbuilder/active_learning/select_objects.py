"""Select objects for people to label, by an active-learning strategy or at random.

Labelling is blind: a list gives position and image file of each object, no prediction, and an order that does not
depend on one, because people who see a prediction agree with it too often. The table `queue` keeps the chosen objects
with the strategy, the purpose of the answer and, for random draws, the sampling probability.

The rule for answers: objects drawn at random *for calibration* leave the pool, are used for calibration and never for
training. All other answers are used for training and never for calibration, since objects that were chosen for their
uncertainty say nothing about the error rate (`calibration_at` in `sql/views.sql` applies the rule and `catbuilder
check` verifies it).
"""

import csv
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from catbuilder.active_learning.candidates import (
    UNCERTAINTIES,
    choose_uncertain,
    draw_random,
    latest_model,
    make_asked_table,
    objects_with_features,
)
from catbuilder.catalogue.connection import Connection, fetch_arrow, fetch_number, first_row
from catbuilder.catalogue.id_ranges import restricted_to
from catbuilder.catalogue.label_events import record_events
from catbuilder.catalogue.round_records import RoundPlan
from catbuilder.catalogue.workspace import Recording, Workspace, replace_older
from catbuilder.core.arguments import INT64_MAX, require_number_in, require_one_of
from catbuilder.core.errors import InputError, NothingToAsk
from catbuilder.core.files import atomic_write
from catbuilder.core.recipe import load_recipe
from catbuilder.core.resources import query

Purpose = Literal["training", "calibration"]

# Each with the reason why it may find no object.
_NO_OBJECT = "the pool has no more objects with a good stamp and without a label that were not asked about already"
STRATEGIES = {
    "audit": "every object drawn from a certified batch has an answer, or none was drawn; to label objects of the "
    "pool, give --strategy random, or margin once a round has scored it",
    **dict.fromkeys((*UNCERTAINTIES, "typical", "coverage", "random"), _NO_OBJECT),
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
    """Select objects for a person to label, and record the choice.

    Objects without an answer are returned again at the next call, those that a model chose until a newer model has
    scored. Only as many new objects are chosen as are missing to n.

    Parameters
    ----------
    workspace : Workspace
        Workspace that the call works on.
    strategy : str
        'audit' (default): the unanswered objects drawn from certified batches. The others choose from the unlabelled
        pool (good stamp, target population, not excluded by the firewall): 'margin', 'entropy' and 'mutual_information'
        the most uncertain objects of the latest model; 'typical' and 'coverage' by its features; 'random' at random.
    n : int, optional
        Largest number of objects; by default the whole audit, or 50 with another strategy.
    purpose : {"training", "calibration"}
        Use of the answers. 'calibration' moves the drawn objects to the calibration set. Default 'training'.
    survey : str, optional
        Only objects of this survey; by default all. 'audit' ignores it.

    Returns
    -------
    pyarrow.Table
        A row for each object: survey, object_id, name, ra, dec (ICRS, degrees), file, and empty columns label and
        annotator.

    Raises
    ------
    InputError
        There is no such strategy or survey, or the strategy is not random and the purpose is calibration.
    NothingToAsk
        The strategy needs a model, an ensemble or features, and there are none.

    Examples
    --------
    >>> catbuilder.select_objects(workspace, "margin", 100, survey="des").to_pandas()
    """
    _check_request(strategy, purpose)
    require_number_in(n, 1, INT64_MAX, "the number of objects")
    if survey is not None:
        workspace.check_survey(survey)
    if strategy == "audit":
        return list_open_questions(workspace, "audit", n)
    limit = DEFAULT_N if n is None else n
    update_stale_firewall(workspace)
    asked = list_open_questions(workspace, strategy, limit, purpose=purpose, survey=survey)
    if asked.num_rows < limit and _select_more(workspace, strategy, limit - asked.num_rows, purpose, survey):
        asked = list_open_questions(workspace, strategy, limit, purpose=purpose, survey=survey)
    return asked


def list_open_questions(
    workspace: Workspace,
    strategy: str | None = None,
    n: int | None = None,
    *,
    purpose: Purpose | None = None,
    survey: str | None = None,
) -> pa.Table:
    """List the selected objects without an answer, in the columns of `select_objects`; select nothing new.

    Parameters
    ----------
    workspace : Workspace
        The workspace.
    strategy : str, optional
        Only questions of this strategy; by default all, those of audits first.
    n : int, optional
        Largest number of objects; by default all.
    purpose : {"training", "calibration"}, optional
        Only questions for this purpose; by default all.
    survey : str, optional
        Only objects of this survey; by default all.

    Returns
    -------
    pyarrow.Table
        The columns of `select_objects`.

    Examples
    --------
    >>> catbuilder.list_open_questions(workspace, "margin").num_rows
    """
    with workspace.reading() as con:
        found = []
        if strategy in (None, "audit") and purpose is None:
            con.execute(f"CREATE OR REPLACE TEMP TABLE batches AS {query('active_learning/open_audits')}")
            con.execute(f"CREATE OR REPLACE TEMP TABLE audited AS {query('decisions/audit_objects')}")
            with restricted_to(con, "audited"):
                audit = fetch_arrow(con, query("active_learning/open_audit_questions"), {"n": n})
            found.append(audit if survey is None else audit.filter(pc.equal(audit["survey"], survey)))
        if strategy != "audit":
            about = {"strategy": strategy, "purpose": purpose, "survey": survey, "n": n, "model": latest_model(con)}
            con.execute(f"CREATE OR REPLACE TEMP TABLE considered AS {query('active_learning/objects_ever_asked')}")
            with restricted_to(con, "considered"):
                found.append(fetch_arrow(con, query("active_learning/open_questions"), about))
    return pa.concat_tables(found).slice(0, n)


def queue_questions(recording: Recording, plan: RoundPlan) -> int:
    """Queue the most doubtful objects of the target survey's pool when a round closes, and return their number.

    They are of the pool alone, so that what certifies is never chosen by its score. `select` with the same strategy
    lists them, and so does the web page.
    """
    asking, con = plan.recipe.asking, recording.con
    model = latest_model(con)
    single = not fetch_number(con, "SELECT count(*) FROM members WHERE model = ?", [model])
    if not asking.objects or model is None or (single and asking.strategy == "mutual_information"):
        return 0
    make_asked_table(con, model)
    chosen = choose_uncertain(con, asking.strategy, model, asking.objects, plan.recipe.sets.target)
    con.register("chosen", chosen)
    place: dict[str, object] = {"round": plan.round, "run": recording.run}
    asked = {"strategy": asking.strategy, "purpose": "training", "probability": None, "model": model}
    con.execute(query("active_learning/record_questions"), place | asked)
    con.unregister("chosen")
    return int(chosen.num_rows)


def write_questions(objects: pa.Table, file: Path) -> None:
    """Write the result of `select_objects` as CSV, to be filled in and read by `import_labels`.

    Raises
    ------
    InputError
        The file exists already, and may hold answers.
    """
    refuse_answers(file)
    with atomic_write(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, objects.column_names)
        writer.writeheader()
        writer.writerows(objects.to_pylist())


def refuse_answers(file: Path) -> None:
    """Raise InputError if a list of questions is there already."""
    if file.exists():
        raise InputError(f"{file} exists and may hold answers; import and move it, or name another file")


def update_stale_firewall(workspace: Workspace) -> None:
    """Update the firewall if objects were added since the last update, so that no test galaxy is selected."""
    text = (
        "SELECT run, CAST(plan ->> '$.recipe.firewall.radius_arcsec' AS DOUBLE) FROM rounds ORDER BY round DESC LIMIT 1"
    )
    with workspace.reading() as con:
        run, radius = first_row(con, text) or (0, load_recipe(workspace.config.recipe).firewall.radius_arcsec)
        fresh = fetch_number(con, query("active_learning/new_since_firewall"), {"run": run})
    if fresh:
        from catbuilder.sets.firewall import update_firewall  # SciPy and scikit-learn take a second to import

        update_firewall(workspace, radius)


def parse_purpose(text: str) -> Purpose:
    """Check the purpose given on the command line.

    Raises
    ------
    InputError
        It is neither training nor calibration.
    """
    for purpose in get_args(Purpose):
        if text == purpose:
            return purpose
    raise InputError(f"there is no purpose '{text}'; use training or calibration")


def _check_request(strategy: str, purpose: Purpose) -> None:
    if strategy not in STRATEGIES:
        *most, last = STRATEGIES
        raise InputError(f"there is no strategy '{strategy}' of selection; use {', '.join(most)} or {last}")
    require_one_of(purpose, get_args(Purpose), "the purpose of a selection")
    if purpose == "calibration" and strategy != "random":
        raise InputError(
            f"objects chosen by '{strategy}' cannot calibrate, since they are not a random sample of the pool; use "
            "--strategy random, or use the answers for training"
        )


def _select_more(workspace: Workspace, strategy: str, n: int, purpose: str, survey: str | None) -> int:
    """Choose up to n more objects, record them, and return their number."""
    with workspace.reading() as con:
        model = None if strategy == "random" else _require_model(con, strategy)
        # Where each round certifies the whole pool, labelled or not, calibration objects are drawn from all of it.
        (last_asserts,) = con.execute("SELECT only_asserts((SELECT max(round) FROM rounds))").fetchall()[0]
        chosen, probability = _choose(
            con, workspace, strategy, n, model, survey, promoted_too=purpose == "calibration" and last_asserts
        )
    if not chosen.num_rows:
        return 0
    with workspace.recording(f"select --strategy {strategy}") as recording:
        recording.con.register("chosen", chosen)
        place: dict[str, object] = {"round": recording.round, "run": recording.run}
        asked = {"strategy": strategy, "purpose": purpose, "probability": probability, "model": model}
        recording.con.execute(query("active_learning/record_questions"), place | asked)
        if purpose == "calibration":
            recording.con.execute(query("active_learning/record_calibration_split"), place)
            replace_older(recording, "splits")
            record_events(recording, fetch_arrow(recording.con, query("active_learning/retract_drawn")))
        recording.con.unregister("chosen")
    return int(chosen.num_rows)


def _require_model(con: Connection, strategy: str) -> int:
    model = latest_model(con)
    if model is None:
        raise NothingToAsk(
            f"the strategy {strategy} needs a model's scores of the pool, and no round has scored it yet; run one "
            "(catbuilder round), or use --strategy random"
        )
    return model


def _choose(
    con: Connection,
    workspace: Workspace,
    strategy: str,
    n: int,
    model: int | None,
    survey: str | None,
    promoted_too: bool,
) -> tuple[pa.Table, float | None]:
    """Choose objects (survey, object_id) by a strategy; also the sampling probability of a random draw."""
    make_asked_table(con, model, at_random=model is None)
    if model is None:
        draw = fetch_number(con, "SELECT coalesce(max(run), 0) FROM runs")
        return draw_random(con, n, f"ask {draw}", survey, promoted_too)
    if strategy in UNCERTAINTIES:
        return choose_uncertain(con, strategy, model, n, survey), None
    from catbuilder.active_learning.diversity import (  # scikit-learn takes a second to import
        choose_coverage,
        choose_typical,
    )

    objects, features, labelled = objects_with_features(con, workspace, model, survey)
    chosen = choose_typical(features, labelled, n) if strategy == "typical" else choose_coverage(features, labelled, n)
    return objects.take(chosen), None
