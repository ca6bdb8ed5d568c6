"""The review pages: lists of objects to label, shown one by one or as a grid; each answer is recorded at once."""

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
from catbuilder.web.site import CurrentSite

router = APIRouter()

_SENT = 60  # questions per request; the page requests more before it runs out


class Answer(BaseModel):
    """An annotator's answer for one object. The id is a text, since JavaScript rounds integers above 2^53."""

    list: str = Field(max_length=60)
    annotator: str = Field(max_length=200)
    survey: str = Field(max_length=60)
    object_id: str = Field(pattern=r"^\d{1,19}$")
    answer: str = Field(max_length=60)


class Undo(BaseModel):
    """A request to undo an annotator's last answer, with the object it was for if the page knows."""

    list: str = Field(max_length=60)
    annotator: str = Field(max_length=200)
    survey: str | None = Field(default=None, max_length=60)
    object_id: str | None = Field(default=None, pattern=r"^\d{1,19}$")


@router.get("/review")
def lists(site: CurrentSite, annotator: str = "") -> Response:
    """Show every list of questions, and the agreement of annotators."""
    strategies = [name for name in STRATEGIES if name != "audit"]  # rounds draw audits
    return site.page("review.html", lists=list_question_lists(site.workspace), strategies=strategies,
                     pairs=annotator_agreement(site.workspace).to_pylist(), annotator=annotator)  # fmt: skip


@router.post("/review/lists")
def make_list(
    site: CurrentSite,
    strategy: Annotated[str, Form()],
    n: Annotated[int, Form(ge=1, le=100_000)] = 50,
    annotator: Annotated[str, Form()] = "",
) -> Response:
    """Select objects and redirect to their list."""
    name = start_question_list(site.workspace, strategy, n)
    address = f"/review/list?{urlencode({'list': name, 'annotator': annotator})}"
    return RedirectResponse(address if annotator.strip() else "/review", status_code=303)


@router.get("/review/list")
def one_list(
    site: CurrentSite,
    name: Annotated[str, Query(alias="list")],
    annotator: str = "",
    view: Literal["one", "grid"] = "one",
    guess: Literal["after", "never", "before"] = "after",
) -> Response:
    """Show the page on which a list is answered."""
    annotator = annotator_name(annotator)
    asked = read_questions(site.workspace, name, annotator)
    if guess == "before" and is_blind(site.workspace, name):
        raise InputError("lists for audits or calibration are answered blind; choose to show the prediction never")
    keys = answer_keys(site.workspace.config.classes)
    return site.page("review_list.html", name=name, annotator=annotator, view=view, guess=guess, keys=keys,
                     unsure=UNSURE, total=len(asked), given=sum(one.answer is not None for one in asked))  # fmt: skip


@router.get("/review/questions")
def next_questions(
    site: CurrentSite, name: Annotated[str, Query(alias="list")], annotator: str, guess: Literal["", "before"] = ""
) -> dict[str, Any]:
    """Send the next unanswered questions as JSON, with predictions only on request."""
    asked = read_questions(site.workspace, name, annotator)
    unanswered = [one for one in asked if one.answer is None][:_SENT]
    guesses = {}
    if guess == "before":
        guesses = read_predictions(site.workspace, [(one.survey, one.object_id) for one in unanswered])
    sent = [
        {
            "survey": one.survey,
            "object_id": str(one.object_id),
            "name": one.name or "",
            "has_stamp": site.pictures.remember(one.survey, one.object_id, one.shard, one.row),
            "guess": _in_words(*guesses.get((one.survey, one.object_id), (None, None))),
        }
        for one in unanswered
    ]
    return {"questions": sent, "total": len(asked), "answered": sum(one.answer is not None for one in asked)}


@router.post("/review/answers")
def post_answer(site: CurrentSite, given: Answer) -> dict[str, Any]:
    """Record an answer and return the prediction, except for objects of audits or calibration."""
    done = record_answer(site.workspace, given.list, given.annotator, given.survey, int(given.object_id), given.answer)
    return {"recorded": done.recorded, "guess": _in_words(done.predicted_label, done.predicted_confidence),
            "agrees": done.predicted_label == given.answer, "audits": list(done.audits)}  # fmt: skip


@router.post("/review/undo")
def post_undo(site: CurrentSite, given: Undo) -> dict[str, Any]:
    """Undo the last answer, and return which it was."""
    meant = None if given.survey is None or given.object_id is None else (given.survey, int(given.object_id))
    undone = undo_answer(site.workspace, given.list, given.annotator, meant)
    if undone is None:
        return {"undone": None}
    return {"undone": {"survey": undone.survey, "object_id": str(undone.object_id), "answer": undone.answer}}


def _in_words(label: str | None, confidence: float | None) -> str:
    if label is None:
        return ""
    return label if confidence is None else f"{label} at {confidence:.3f}"
