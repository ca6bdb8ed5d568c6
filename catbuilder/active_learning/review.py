"""Label objects on the review page: lists of questions, answers, and undo.

A list holds the objects that one `select` chose, or the sample of a certified round's audit. Each annotator answers the
whole list independently, so that their agreement can be measured (`agreement`). Every answer is recorded at once as a
label event. "Not sure" is an event of kind 'unsure': it is no label, and the question does not come again. Undo is a
retraction.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from catbuilder.active_learning.answers import record_answers
from catbuilder.active_learning.select_objects import select_objects
from catbuilder.catalogue.connection import Connection, fetch_arrow, first_row
from catbuilder.catalogue.id_ranges import IdRange, restricted_to
from catbuilder.catalogue.label_events import EVENTS
from catbuilder.catalogue.workspace import Recording, Workspace
from catbuilder.core.errors import InputError, ObjectNotFound, OtherAnswer
from catbuilder.core.resources import query

UNSURE = "unsure"
Prediction = tuple[str | None, float | None]  # predicted_label and predicted_confidence
LONGEST_NAME = 60
_KEYS = pa.schema([("survey", pa.string()), ("object_id", pa.int64())])


@dataclass(frozen=True)
class QuestionList:
    """A list of objects to label, and the number of them that have an answer."""

    name: str  # <strategy>-<run>
    strategy: str
    purpose: str  # 'training', 'calibration' or 'audit'
    round: int
    run: int
    made_at: str  # UTC
    objects: int
    answered: int


@dataclass(frozen=True)
class Question:
    """An object to label, the place of its stamp, and the annotator's answer so far."""

    survey: str
    object_id: int
    name: str | None
    ra: float | None  # ICRS, deg
    dec: float | None
    shard: str | None
    row: int | None
    answer: str | None  # a class, 'unsure', or None


@dataclass(frozen=True)
class SubmittedAnswer:
    """A recorded answer, and the latest model's prediction to show afterwards.

    There is no prediction for an object that was drawn for an audit or for calibration, since the annotator could
    still change the answer.
    """

    recorded: int  # events; 0 if the annotator had given the same answer before
    predicted_label: str | None
    predicted_confidence: float | None
    audits: tuple[str, ...] = ()  # effect on the audits of certified batches, a sentence each


@dataclass(frozen=True)
class UndoneAnswer:
    """An answer that was retracted."""

    survey: str
    object_id: int
    answer: str


def list_question_lists(workspace: Workspace) -> list[QuestionList]:
    """Return every list of questions, the newest first."""
    with workspace.reading() as con:
        rows = fetch_arrow(con, query("active_learning/question_lists")).to_pylist()
    return [
        QuestionList(row["list"], row["strategy"], row["purpose"], row["round"], row["run"],
                     f"{row['recorded_at']:%Y-%m-%d %H:%M}", row["objects"], row["answered"])
        for row in rows
    ]  # fmt: skip


def start_question_list(workspace: Workspace, strategy: str, n: int) -> str:
    """Choose objects to label, and return the name of the strategy's newest list that is not for calibration.

    Raises
    ------
    InputError
        There is no such strategy, or it finds no object.
    NothingToAsk
        The strategy needs a model, an ensemble or features, and there are none.
    """
    if not select_objects(workspace, strategy, n).num_rows:
        raise InputError(f"the strategy {strategy} finds no object to label; choose another, or ingest more objects")
    lists = [one for one in list_question_lists(workspace) if one.strategy == strategy and one.purpose != "calibration"]
    return lists[0].name


def read_questions(workspace: Workspace, list_name: str, annotator: str) -> list[Question]:
    """Read all questions of a list in order, with this annotator's answers and without any prediction.

    Raises
    ------
    InputError
        There is no such list, or the annotator's name is not valid.
    """
    annotator = annotator_name(annotator)
    with workspace.reading() as con:
        key = _require_list(con, list_name)
        con.execute(f"CREATE OR REPLACE TEMP TABLE list_objects AS {query('active_learning/objects_of_list')}", key)
        with restricted_to(con, "list_objects"):
            rows = con.execute(query("active_learning/questions_of_list"), key | {"annotator": annotator}).fetchall()
    return [Question(*row) for row in rows]


def is_blind(workspace: Workspace, list_name: str) -> bool:
    """Tell whether a list was drawn for an audit or for calibration, so that its predictions must stay hidden.

    Raises
    ------
    InputError
        There is no such list.
    """
    with workspace.reading() as con:
        key = _require_list(con, list_name)
        text = "FROM queue WHERE strategy = $strategy AND run = $run AND purpose IN ('audit', 'calibration') LIMIT 1"
        return first_row(con, text, key) is not None


def record_answer(
    workspace: Workspace, list_name: str, annotator: str, survey: str, object_id: int, said: str
) -> SubmittedAnswer:
    """Record an annotator's answer for an object of a list: one of the classes, or 'unsure'.

    The answer is recorded as by `labels import`, with source human. The answer 'unsure' retracts the annotator's
    earlier labels of the object.

    Raises
    ------
    InputError
        There is no such list or class, or the annotator's name is not valid.
    ObjectNotFound
        The object is not in the list, or has since become a test object or come too close to one.
    """
    annotator = annotator_name(annotator)
    if said not in (*workspace.config.classes, UNSURE):
        raise InputError(f"'{said}' is not an answer; give {', '.join(workspace.config.classes)} or {UNSURE}")
    with workspace.recording(f"review {list_name}") as recording:
        con = recording.con
        key = _require_list(con, list_name)
        con.execute(f"CREATE OR REPLACE TEMP TABLE list_objects AS {query('active_learning/objects_of_list')}", key)
        if not first_row(con, "FROM temp.list_objects WHERE survey = ? AND object_id = ?", [survey, object_id]):
            raise ObjectNotFound(f"{survey} {object_id} is not among the questions of {list_name}; reload the page")
        _refuse_test(con, survey, object_id)
        event = {"survey": survey, "object_id": object_id, "source": "human", "annotator": annotator}
        word = {"kind": "label", "label": said} if said in workspace.config.classes else {"kind": UNSURE}
        events = [event | word | {"reason": f"review of {list_name}"}]
        if word["kind"] == UNSURE:
            events += [event | old for old in _own_labels(recording, survey, object_id, annotator)]
        recorded, audits = record_answers(recording, pa.Table.from_pylist(events, schema=EVENTS))
        prediction = _predictions(con, IdRange(survey, object_id, object_id)).get((survey, object_id), (None, None))
    return SubmittedAnswer(recorded, *prediction, audits)


def undo_answer(
    workspace: Workspace, list_name: str, annotator: str, expected: tuple[str, int] | None = None
) -> UndoneAnswer | None:
    """Retract the last answer that an annotator gave in a list, and return it; None if there is none.

    Imported labels and answers in other lists are left alone.

    Parameters
    ----------
    expected : survey and object_id of the answer to undo; by default the last answer

    Raises
    ------
    OtherAnswer
        The last answer is for another object than `expected`.
    """
    annotator = annotator_name(annotator)
    with workspace.recording(f"review {list_name}: undo") as recording:
        con = recording.con
        key = _require_list(con, list_name)
        con.execute(f"CREATE OR REPLACE TEMP TABLE list_objects AS {query('active_learning/objects_of_list')}", key)
        with restricted_to(con, "list_objects"):
            about = {"annotator": annotator, "reason": f"review of {list_name}", "n": 1}
            last = first_row(con, query("active_learning/latest_answers"), about)
        if last is None:
            return None
        event, survey, object_id, kind, label = last
        if expected not in (None, (survey, object_id)):
            raise OtherAnswer(
                f"the last recorded answer is that of {survey} {object_id}, another object than the one to undo; "
                "nothing was undone: undo again to retract that answer"
            )
        retraction = {
            "survey": survey, "object_id": object_id, "kind": "retraction", "label": label, "source": "human",
            "annotator": annotator, "reason": f"undone in the review of {list_name}", "retracts": event,
        }  # fmt: skip
        record_answers(recording, pa.Table.from_pylist([retraction], schema=EVENTS))
    return UndoneAnswer(survey, object_id, label or kind)


def read_predictions(workspace: Workspace, objects: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Prediction]:
    """Read the latest model's predictions of objects (survey, object_id), for a review that is not blind.

    Objects that were ever drawn for an audit or for calibration are left out, in whatever list they stand.
    """
    rows = [{"survey": survey, "object_id": object_id} for survey, object_id in objects]
    with workspace.reading() as con:
        con.register("given", pa.Table.from_pylist(rows, schema=_KEYS))
        con.execute("CREATE OR REPLACE TEMP TABLE list_objects AS SELECT * FROM given")
        return _predictions(con, "list_objects")


def annotator_name(text: str) -> str:
    """Return an annotator's name as it is recorded: one line of printable characters.

    Raises
    ------
    InputError
        The name is empty, too long, or has characters that do not print.
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"an annotator's name must have 1 to {LONGEST_NAME} printable characters; give yours")
    return name


def answer_keys(classes: tuple[str, ...]) -> dict[str, str]:
    """Assign a key to each class: its first free letter, else a digit; u (unsure) and z (undo) are reserved.

    The page itself uses no other letters, only arrow keys and named keys.
    """
    keys: dict[str, str] = {}
    for number, name in enumerate(classes, start=1):
        letters = [letter for letter in name if letter.isalpha() and letter not in "uz"]
        keys[name] = next((letter for letter in letters if letter not in keys.values()), str(number % 10))
    return keys


def _require_list(con: Connection, name: str) -> dict[str, object]:
    """Return strategy and run of a list."""
    found = re.fullmatch(r"([a-z_]{1,40})-(\d{1,9})", name)
    key: dict[str, object] = {"strategy": found[1], "run": int(found[2])} if found else {}
    if not found or not first_row(con, "FROM queue WHERE strategy = $strategy AND run = $run LIMIT 1", key):
        raise InputError("there is no such list of questions; choose one on the page Review")
    return key


def _refuse_test(con: Connection, survey: str, object_id: int) -> None:
    text = "FROM places_at() WHERE test_set IS NOT NULL OR firewall IS NOT NULL"
    with restricted_to(con, IdRange(survey, object_id, object_id)):
        if first_row(con, text):
            raise ObjectNotFound(
                f"{survey} {object_id} has since become a test galaxy, or may be one; reload the page to continue "
                "without it"
            )


def _own_labels(recording: Recording, survey: str, object_id: int, annotator: str) -> list[dict[str, object]]:
    """Return retractions of the standing labels that an annotator gave to an object."""
    with restricted_to(recording.con, IdRange(survey, object_id, object_id)):
        rows = recording.con.execute(
            query("active_learning/latest_answers"), {"annotator": annotator, "reason": None, "n": 1000}
        ).fetchall()
    return [
        {"kind": "retraction", "label": label, "reason": "not sure any more", "retracts": event}
        for event, _, _, kind, label in rows
        if kind == "label"
    ]


def _predictions(con: Connection, seen: IdRange | str) -> dict[tuple[str, int], Prediction]:
    """Read the predictions of the objects in `seen`, without those that are answered blind."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE blind_objects AS {query('active_learning/blind_objects')}")
    text = (
        "SELECT survey, object_id, predicted_label, predicted_confidence FROM catalog "
        "ANTI JOIN temp.blind_objects USING (survey, object_id)"
    )
    with restricted_to(con, seen):
        rows = con.execute(text).fetchall()
    return {(survey, object_id): (label, confidence) for survey, object_id, label, confidence in rows}
