"""The web application: all pages behind the access check, and errors as pages of one sentence."""

import asyncio
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import CatbuilderError, ObjectNotFound, OtherAnswer, WorkerDied, WorkspaceBusy
from catbuilder.web import catalogue_page, downloads, object_page, review_page, rounds_page, sql_page
from catbuilder.web.child_process import PATIENCE_S
from catbuilder.web.guard import Guard, Session
from catbuilder.web.site import Site, site_of

_STATUS: dict[type[CatbuilderError], int] = {
    ObjectNotFound: 404, OtherAnswer: 409, WorkspaceBusy: 503, WorkerDied: 500,
}  # fmt: skip


def create_app(workspace: Workspace, session: Session) -> FastAPI:
    """Create the ASGI application of one workspace; `session` holds the secrets that a request must present."""
    # no /docs: its scripts would be loaded from elsewhere
    app = FastAPI(title="catbuilder", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = Site(replace(workspace, patience_s=PATIENCE_S))
    for page in (catalogue_page, object_page, downloads, review_page, rounds_page, sql_page):
        app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_exception_handler(CatbuilderError, _library_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _no_such_page)
    app.add_middleware(Guard, session=session)
    return app


async def _library_error(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    return await _error_page(request, status, str(error))


async def _invalid_request(request: Request, _: Exception) -> Response:
    return await _error_page(request, 400, "This address or form is not valid; go back and use the page.")


async def _no_such_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return await _error_page(request, status, "There is no such page; choose one above.")


async def _error_page(request: Request, status: int, sentence: str) -> Response:
    said = f"{sentence[:1].upper()}{sentence[1:]}"
    headers = {"Retry-After": "3"} if status == 503 else None
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"error": said}, status, headers)
    page = await asyncio.to_thread(site_of(request).page, "error.html", status, sentence=said, wait=status == 503)
    page.headers.update(headers or {})
    return page
