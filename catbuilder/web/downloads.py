"""What a filter shows, as a file: the very export of the command line, written beside the workspace and then sent."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from catbuilder.errors import InputError
from catbuilder.export import export
from catbuilder.web.apart import apart
from catbuilder.web.catalogue_page import filter_of
from catbuilder.web.site import Here

router = APIRouter()

KINDS = {
    "fits": "application/fits",
    "vot": "application/x-votable+xml",
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
}
_PIECE = 2**20  # bytes sent at a time


@router.get("/download/{kind}")
def download(kind: str, request: Request, here: Here) -> Response:
    """Every object that passes the filter, in one of `KINDS`. Begins once it is written: a header says how many."""
    if kind not in KINDS:
        raise InputError(f"nothing is exported as '{kind}'; choose {', '.join(KINDS)}")
    wanted = filter_of(dict(request.query_params))
    # the file has no name any more while it is sent: nothing is left, however that ends
    with tempfile.TemporaryDirectory(prefix=".download-", dir=here.workspace.path) as folder:
        target = Path(folder) / f"catalogue.{kind}"
        apart(export, here.workspace, target, at=wanted.at, where=wanted.where() or None)
        size, file = target.stat().st_size, open(target, "rb")  # noqa: SIM115 (closed once it is sent)
    headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="catalogue.{kind}"'}
    return StreamingResponse(_pieces(file), media_type=KINDS[kind], headers=headers)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece
