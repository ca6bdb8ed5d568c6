"""Download the filtered objects as a file, the same as `catbuilder export` writes."""

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
from catbuilder.web.child_process import in_own_process
from catbuilder.web.site import CurrentSite

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
def download(kind: str, request: Request, site: CurrentSite) -> Response:
    """Send every object that meets the filter in one of `KINDS`, once the file is written."""
    if kind not in KINDS:
        raise InputError(f"'{kind}' is not a download format; choose {', '.join(KINDS)}")
    wanted = filter_of(dict(request.query_params))
    # the file is deleted while it is open, so that nothing is left however the transfer ends
    with _folder(site.workspace) as folder:
        target = folder / f"catalogue.{kind}"
        in_own_process(export, site.workspace, target, at=wanted.at, where=wanted.where() or None)
        size, file = target.stat().st_size, open(target, "rb")  # noqa: SIM115 (closed after sending)
    headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="catalogue.{kind}"'}
    return StreamingResponse(_pieces(file), media_type=KINDS[kind], headers=headers)


def remove_leftovers(workspace: Workspace) -> None:
    """Remove download folders left by a killed server, but not those of a server that is running."""
    for folder in workspace.path.glob(f"{_FOLDER}*"):
        with suppress(OSError), _locked(folder):
            shutil.rmtree(folder)


@contextmanager
def _folder(workspace: Workspace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=workspace.path) as name, _locked(Path(name)):
        yield Path(name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder until this process ends; raise BlockingIOError if another process has locked it."""
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
