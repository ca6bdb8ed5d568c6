"""Open catalogue files that may be compressed, and tell what a file holds by its first bytes.

A name proves nothing: browsers unpack a file and keep its .gz, services pack one without saying so, and a service's
error page is saved under the name of the table that was asked for.
"""

import bz2
import gzip
import lzma
import re
import zlib
from io import BufferedReader
from pathlib import Path

from catbuilder.core.errors import InputError
from catbuilder.core.safe_text import in_one_line

PACKED_ENDINGS = (".gz", ".bz2", ".xz")
"""Endings that may follow that of the format."""

UNPACKING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged compressed file raises."""

Unpacked = BufferedReader | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile

_PACKINGS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_NOT_READ = {
    b"PK\x03\x04": "a zip archive", b"\x28\xb5\x2f\xfd": "packed by zstd", b"\x1f\x9d": "packed by compress",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
}  # fmt: skip
_HEAD = 4096  # bytes in which the first element of an XML file is looked for
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def packing(path: Path) -> str:
    """Tell how a file is compressed: gzip, bzip2 or xz; "" if it is not."""
    with open(path, "rb") as file:
        return _found(file.read(8), _PACKINGS)


def open_unpacked(path: Path) -> Unpacked:
    """Open a file for reading its bytes, unpacked where it is compressed.

    Python's gzip reads files of several members, and zero bytes after the last one, which DuckDB refuses.
    """
    match packing(path):
        case "gzip":
            return gzip.GzipFile(path)
        case "bzip2":
            return bz2.BZ2File(path)
        case "xz":
            return lzma.LZMAFile(path)
    return open(path, "rb")


def refuse_other_content(path: Path, expected: str) -> None:
    """Refuse a file whose first bytes show that it is not of the format `expected`, in words that say what it is.

    Raises
    ------
    InputError
        It is packed in a way that is not read, is a web page, or is of another format.
    """
    with open(path, "rb") as file:
        unread = _found(file.read(8), _NOT_READ)
    if unread:
        raise InputError(f"{path} is {unread}, which is not read; unpack it and give the file inside")
    try:
        with open_unpacked(path) as file:
            head = file.read(_HEAD)
    except UNPACKING_ERRORS:
        return  # the reader tells how it is damaged
    found = _format(head)
    if found == "a web page":
        title = _TITLE.search(head)
        words = f", titled '{in_one_line(title[1].decode('utf-8', 'replace'), 100)}'" if title else ""
        raise InputError(
            f"{path} is a web page (HTML){words}, and not a catalogue: the service may have answered with an error; "
            "read it in a browser, and fetch the table again"
        )
    if found and found != expected:
        ending = {"FITS": ".fits", "VOTable": ".vot", "Parquet": ".parquet"}[found]
        raise InputError(f"{path} holds {found} and not {expected}; rename it to end in {ending}")


def _found(head: bytes, kinds: dict[bytes, str]) -> str:
    return next((name for signature, name in kinds.items() if head.startswith(signature)), "")


def _format(head: bytes) -> str:
    """The format that the first bytes show; "" if they show none."""
    if head.startswith(b"SIMPLE  ="):
        return "FITS"
    if head.startswith(b"PAR1"):
        return "Parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return ""
    if b"<!doctype html" in text or b"<html" in text:
        return "a web page"
    return "VOTable" if re.search(rb"<(\w+:)?votable\b", text) else ""
