"""Review: the lists of questions, and one of them as a grid or one by one; answers are recorded as they are given."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from catbuilder.active_learning.agreement import annotator_agreement
from catbuilder.active_learning.review import (
    UNSURE,
    annotator_name,
    answer_keys,
    is_blind,
    list_question_lists,
    read_predictions,
    read_questions,
    record_answer,
    start_question_list,
    undo_answer,
)
from catbuilder.active_learning.select_objects import STRATEGIES
from catbuilder.core.errors import InputError
from catbuilder.web.site import Here

router = APIRouter()

_SENT = 60  # questions a time: the page asks for more before it has shown them


class Answer(BaseModel):
    """What an annotator says of one object. The id is a text: JavaScript rounds what passes 2^53."""

    list: str = Field(max_length=60)
    annotator: str = Field(max_length=200)
    survey: str = Field(max_length=60)
    object_id: str = Field(pattern=r"^\d{1,19}$")
    answer: str = Field(max_length=60)


class Undo(BaseModel):
    """Whose last answer is taken back, and of which object the page takes it to be, where it knows."""

    list: str = Field(max_length=60)
    annotator: str = Field(max_length=200)
    survey: str | None = Field(default=None, max_length=60)
    object_id: str | None = Field(default=None, pattern=r"^\d{1,19}$")


@router.get("/review")
def lists(here: Here, annotator: str = "") -> Response:
    """Every list of questions, and how well annotators agree."""
    strategies = [name for name in STRATEGIES if name != "audit"]  # audits are drawn by their rounds
    return here.page("review.html", lists=list_question_lists(here.workspace), strategies=strategies,
                     pairs=annotator_agreement(here.workspace).to_pylist(), annotator=annotator)  # fmt: skip


@router.post("/review/lists")
def make_list(
    here: Here,
    strategy: Annotated[str, Form()],
    n: Annotated[int, Form(ge=1, le=100_000)] = 50,
    annotator: Annotated[str, Form()] = "",
) -> Response:
    """Select objects and go on to their list."""
    name = start_question_list(here.workspace, strategy, n)
    address = f"/review/list?{urlencode({'list': name, 'annotator': annotator})}"
    return RedirectResponse(address if annotator.strip() else "/review", status_code=303)


@router.get("/review/list")
def one_list(
    here: Here,
    name: Annotated[str, Query(alias="list")],
    annotator: str = "",
    view: Literal["one", "grid"] = "one",
    guess: Literal["after", "never", "before"] = "after",
) -> Response:
    """The page on which a list is answered."""
    annotator = annotator_name(annotator)
    asked = read_questions(here.workspace, name, annotator)
    if guess == "before" and is_blind(here.workspace, name):
        raise InputError("what audits or calibrates is answered blind; let the network's guess be shown never")
    keys = answer_keys(here.workspace.config.classes)
    return here.page("review_list.html", name=name, annotator=annotator, view=view, guess=guess, keys=keys,
                     unsure=UNSURE, total=len(asked), given=sum(one.answer is not None for one in asked))  # fmt: skip


@router.get("/review/questions")
def more(
    here: Here, name: Annotated[str, Query(alias="list")], annotator: str, guess: Literal["", "before"] = ""
) -> dict[str, Any]:
    """The next questions that the annotator has not answered, as JSON; guesses only where they are asked for."""
    asked = read_questions(here.workspace, name, annotator)
    unanswered = [one for one in asked if one.answer is None][:_SENT]
    guesses = {}
    if guess == "before":
        guesses = read_predictions(here.workspace, [(one.survey, one.object_id) for one in unanswered])
    sent = [
        {
            "survey": one.survey,
            "object_id": str(one.object_id),
            "name": one.name or "",
            "has_stamp": here.pictures.remember(one.survey, one.object_id, one.shard, one.row),
            "guess": _in_words(*guesses.get((one.survey, one.object_id), (None, None))),
        }
        for one in unanswered
    ]
    return {"questions": sent, "total": len(asked), "answered": sum(one.answer is not None for one in asked)}


@router.post("/review/answers")
def give(here: Here, given: Answer) -> dict[str, Any]:
    """Record an answer; what the network thinks comes back with it, unless the object audits or calibrates."""
    done = record_answer(here.workspace, given.list, given.annotator, given.survey, int(given.object_id), given.answer)
    return {"recorded": done.recorded, "guess": _in_words(done.predicted_label, done.predicted_confidence),
            "agrees": done.predicted_label == given.answer, "audits": list(done.audits)}  # fmt: skip


@router.post("/review/undo")
def take_back(here: Here, given: Undo) -> dict[str, Any]:
    """Take the last answer back, and tell which it was."""
    meant = None if given.survey is None or given.object_id is None else (given.survey, int(given.object_id))
    undone = undo_answer(here.workspace, given.list, given.annotator, meant)
    if undone is None:
        return {"undone": None}
    return {"undone": {"survey": undone.survey, "object_id": str(undone.object_id), "answer": undone.answer}}


def _in_words(label: str | None, confidence: float | None) -> str:
    if label is None:
        return ""
    return label if confidence is None else f"{label} at {confidence:.3f}"
