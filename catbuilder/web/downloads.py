"""What a filter shows, as a file: the very export of the command line, written beside the workspace and then sent."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from catbuilder.catalogue.workspace import Workspace
from catbuilder.core.errors import InputError
from catbuilder.exports.export import export
from catbuilder.web.catalogue_page import filter_of
from catbuilder.web.own_process import in_own_process
from catbuilder.web.site import Here

router = APIRouter()

KINDS = {
    "fits": "application/fits",
    "vot": "application/x-votable+xml",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
}
_PIECE = 2**20  # bytes sent at a time
_FOLDER = ".download-"


@router.get("/download/{kind}")
def download(kind: str, request: Request, here: Here) -> Response:
    """Every object that passes the filter, in one of `KINDS`. Begins once it is written: a header says how many."""
    if kind not in KINDS:
        raise InputError(f"nothing is exported as '{kind}'; choose {', '.join(KINDS)}")
    wanted = filter_of(dict(request.query_params))
    # the file has no name any more while it is sent: nothing is left, however that ends
    with _folder(here.workspace) as folder:
        target = folder / f"catalogue.{kind}"
        in_own_process(export, here.workspace, target, at=wanted.at, where=wanted.where() or None)
        size, file = target.stat().st_size, open(target, "rb")  # noqa: SIM115 (closed once it is sent)
    headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="catalogue.{kind}"'}
    return StreamingResponse(_pieces(file), media_type=KINDS[kind], headers=headers)


def remove_leftovers(workspace: Workspace) -> None:
    """Remove the folders of downloads that a kill of their server has left; those of another that runs are kept."""
    for folder in workspace.path.glob(f"{_FOLDER}*"):
        with suppress(OSError), _held(folder):
            shutil.rmtree(folder)


@contextmanager
def _folder(workspace: Workspace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=workspace.path) as name, _held(Path(name)):
        yield Path(name)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder, which the kernel lets go when this process ends; BlockingIOError where another holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
