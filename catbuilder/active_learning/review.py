"""Review: people answer the questions of a list, one galaxy after the other, and every answer is an event at once.

A list is what `select` put into the queue in one recording, or the sample of a certified round's audit. Each annotator
goes through all of it, whatever others said, so that their agreement can be counted (`annotators`). Who cannot tell
says so: an event of kind 'unsure', which is no label and keeps the question from coming again. Undo is a retraction.
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
Guess = tuple[str | None, float | None]  # predicted_label and predicted_confidence
LONGEST_NAME = 60
_KEYS = pa.schema([("survey", pa.string()), ("object_id", pa.int64())])


@dataclass(frozen=True)
class QuestionList:
    """A list of questions: its name, and how many of its objects somebody has answered."""

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
    """An object to be looked at, where its stamp lies, and what the annotator has said of it."""

    survey: str
    object_id: int
    name: str | None
    ra: float | None  # ICRS, deg
    dec: float | None
    shard: str | None
    row: int | None
    answer: str | None  # a class, 'unsure', or None


@dataclass(frozen=True)
class Answered:
    """What became of an answer, and what the newest model makes of the object, for afterwards.

    Nothing of what a model makes of it where the object was drawn to audit or to calibrate: an answer can be taken back
    and given otherwise.
    """

    recorded: int  # events; 0 where the annotator had said the same
    predicted_label: str | None
    predicted_confidence: float | None
    audits: tuple[str, ...] = ()  # what it did to the audits of certified batches, a sentence each


@dataclass(frozen=True)
class Undone:
    """An answer that was taken back."""

    survey: str
    object_id: int
    answer: str


def question_lists(workspace: Workspace) -> list[QuestionList]:
    """Every list that was made, the newest first."""
    with workspace.reading() as con:
        rows = fetch_arrow(con, query("active_learning/review_lists")).to_pylist()
    return [
        QuestionList(row["list"], row["strategy"], row["purpose"], row["round"], row["run"],
                     f"{row['recorded_at']:%Y-%m-%d %H:%M}", row["objects"], row["answered"])
        for row in rows
    ]  # fmt: skip


def ask_people(workspace: Workspace, strategy: str, n: int) -> str:
    """Select objects, which puts them into the queue; the name of the strategy's newest list that does not calibrate.

    Raises
    ------
    InputError
        There is nobody to ask about, or no such strategy.
    NothingToAsk
        There is no model, ensemble or feature to choose by.
    """
    if not select_objects(workspace, strategy, n).num_rows:
        raise InputError(f"the strategy {strategy} finds nobody to ask about; take another, or ingest more objects")
    lists = [one for one in question_lists(workspace) if one.strategy == strategy and one.purpose != "calibration"]
    return lists[0].name


def questions(workspace: Workspace, list_name: str, annotator: str) -> list[Question]:
    """The whole list in its order, with what this annotator has said so far; nothing of what a model thinks.

    Raises
    ------
    InputError
        There is no such list, or the annotator's name cannot be one.
    """
    annotator = annotator_name(annotator)
    with workspace.reading() as con:
        key = _require_list(con, list_name)
        con.execute(f"CREATE OR REPLACE TEMP TABLE asked_about AS {query('active_learning/review_asked')}", key)
        with restricted_to(con, "asked_about"):
            rows = con.execute(query("active_learning/review_questions"), key | {"annotator": annotator}).fetchall()
    return [Question(*row) for row in rows]


def is_blind(workspace: Workspace, list_name: str) -> bool:
    """Whether a list was drawn to audit or to calibrate, so that nobody may see a guess of it.

    Raises
    ------
    InputError
        There is no such list.
    """
    with workspace.reading() as con:
        key = _require_list(con, list_name)
        text = "FROM queue WHERE strategy = $strategy AND run = $run AND purpose IN ('audit', 'calibration') LIMIT 1"
        return first_row(con, text, key) is not None


def answer(workspace: Workspace, list_name: str, annotator: str, survey: str, object_id: int, said: str) -> Answered:
    """Record what an annotator says of an object of a list: one of the classes, or 'unsure'.

    It is recorded as `labels import` would, with source human; the annotator's earlier labels of the object are taken
    back where the answer is that nobody can tell.

    Raises
    ------
    InputError
        No such list or class, or the annotator's name cannot be one.
    ObjectNotFound
        The object is not of the list, or has become a test object, or one near to one, since it was asked about.
    """
    annotator = annotator_name(annotator)
    if said not in (*workspace.config.classes, UNSURE):
        raise InputError(f"'{said}' is no answer; give {', '.join(workspace.config.classes)} or {UNSURE}")
    with workspace.recording(f"review {list_name}") as recording:
        con = recording.con
        key = _require_list(con, list_name)
        con.execute(f"CREATE OR REPLACE TEMP TABLE asked_about AS {query('active_learning/review_asked')}", key)
        if not first_row(con, "FROM temp.asked_about WHERE survey = ? AND object_id = ?", [survey, object_id]):
            raise ObjectNotFound(f"{survey} {object_id} is not among the questions of {list_name}; reload the page")
        _refuse_test(con, survey, object_id)
        event = {"survey": survey, "object_id": object_id, "source": "human", "annotator": annotator}
        word = {"kind": "label", "label": said} if said in workspace.config.classes else {"kind": UNSURE}
        events = [event | word | {"reason": f"review of {list_name}"}]
        if word["kind"] == UNSURE:
            events += [event | old for old in _own_labels(recording, survey, object_id, annotator)]
        recorded, audits = record_answers(recording, pa.Table.from_pylist(events, schema=EVENTS))
        guess = _guesses(con, IdRange(survey, object_id, object_id)).get((survey, object_id), (None, None))
    return Answered(recorded, *guess, audits)


def undo(
    workspace: Workspace, list_name: str, annotator: str, expected: tuple[str, int] | None = None
) -> Undone | None:
    """Take back, by a retraction, the last answer that an annotator gave in a list; None if there is nothing.

    What was imported, or said in another list, is left alone.

    Parameters
    ----------
    expected : survey and object_id of the answer that is meant; by default whichever is the last

    Raises
    ------
    OtherAnswer
        The last answer is of another object.
    """
    annotator = annotator_name(annotator)
    with workspace.recording(f"review {list_name}: undo") as recording:
        con = recording.con
        key = _require_list(con, list_name)
        con.execute(f"CREATE OR REPLACE TEMP TABLE asked_about AS {query('active_learning/review_asked')}", key)
        with restricted_to(con, "asked_about"):
            about = {"annotator": annotator, "reason": f"review of {list_name}", "n": 1}
            last = first_row(con, query("active_learning/review_last"), about)
        if last is None:
            return None
        event, survey, object_id, kind, label = last
        if expected not in (None, (survey, object_id)):
            raise OtherAnswer(
                f"the last answer that was recorded is that of {survey} {object_id}, another object than the one to be "
                "undone, and nothing was taken back; undo again to take that one back"
            )
        retraction = {
            "survey": survey, "object_id": object_id, "kind": "retraction", "label": label, "source": "human",
            "annotator": annotator, "reason": f"undone in the review of {list_name}", "retracts": event,
        }  # fmt: skip
        record_answers(recording, pa.Table.from_pylist([retraction], schema=EVENTS))
    return Undone(survey, object_id, label or kind)


def guesses_of(workspace: Workspace, objects: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Guess]:
    """What the newest model makes of objects (survey, object_id); for a review that is not blind.

    Of objects that were ever drawn to audit or to calibrate it gives nothing, in whatever list they are answered.
    """
    rows = [{"survey": survey, "object_id": object_id} for survey, object_id in objects]
    with workspace.reading() as con:
        con.register("given", pa.Table.from_pylist(rows, schema=_KEYS))
        con.execute("CREATE OR REPLACE TEMP TABLE asked_about AS SELECT * FROM given")
        return _guesses(con, "asked_about")


def annotator_name(text: str) -> str:
    """The name as it is recorded: one line of printable letters.

    Raises
    ------
    InputError
        It is empty, too long, or holds what does not print.
    """
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"an annotator needs a name of 1 to {LONGEST_NAME} letters that print; give yours")
    return name


def answer_keys(classes: tuple[str, ...]) -> dict[str, str]:
    """The key for each class: its first letter that is free, else a digit; u (unsure) and z (undo) are taken.

    Other letters that the page itself listens to are arrows and named keys alone.
    """
    keys: dict[str, str] = {}
    for number, name in enumerate(classes, start=1):
        letters = [letter for letter in name if letter.isalpha() and letter not in "uz"]
        keys[name] = next((letter for letter in letters if letter not in keys.values()), str(number % 10))
    return keys


def _require_list(con: Connection, name: str) -> dict[str, object]:
    """Strategy and run of a list."""
    found = re.fullmatch(r"([a-z_]{1,40})-(\d{1,9})", name)
    key: dict[str, object] = {"strategy": found[1], "run": int(found[2])} if found else {}
    if not found or not first_row(con, "FROM queue WHERE strategy = $strategy AND run = $run LIMIT 1", key):
        raise InputError("there is no such list of questions; choose one of those on the page Review")
    return key


def _refuse_test(con: Connection, survey: str, object_id: int) -> None:
    text = "FROM places_at() WHERE test_set IS NOT NULL OR firewall IS NOT NULL"
    with restricted_to(con, IdRange(survey, object_id, object_id)):
        if first_row(con, text):
            raise ObjectNotFound(
                f"{survey} {object_id} has become a test galaxy, or may be one, since it was asked about; reload the "
                "page to go on without it"
            )


def _own_labels(recording: Recording, survey: str, object_id: int, annotator: str) -> list[dict[str, object]]:
    """Retractions of the labels that an annotator gave to an object and that stand."""
    with restricted_to(recording.con, IdRange(survey, object_id, object_id)):
        rows = recording.con.execute(
            query("active_learning/review_last"), {"annotator": annotator, "reason": None, "n": 1000}
        ).fetchall()
    return [
        {"kind": "retraction", "label": label, "reason": "not sure any more", "retracts": event}
        for event, _, _, kind, label in rows
        if kind == "label"
    ]


def _guesses(con: Connection, seen: IdRange | str) -> dict[tuple[str, int], Guess]:
    """Guesses of the objects of a lens, but for those that are answered blind."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE kept_blind AS {query('active_learning/review_blind')}")
    text = (
        "SELECT survey, object_id, predicted_label, predicted_confidence FROM catalog "
        "ANTI JOIN temp.kept_blind USING (survey, object_id)"
    )
    with restricted_to(con, seen):
        rows = con.execute(text).fetchall()
    return {(survey, object_id): (label, confidence) for survey, object_id, label, confidence in rows}
