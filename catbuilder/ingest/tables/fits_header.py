"""Read FITS headers block by block and check their sizes before astropy uses them.

astropy trusts a header. It reads one without END until the memory is full, loops for ever on a negative NAXIS, and
opens a file that was cut short without a warning. Here a header must end within 4 MB and its sizes must be counts.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from astropy.io import fits
from astropy.io.fits.card import Undefined

from catbuilder.core.library_warnings import collect_warnings
from catbuilder.core.safe_text import in_one_line

BLOCK = 2880
"""Bytes of a FITS block: headers and data begin at multiples of it."""

MOST_HDUS = 1000
"""DES tiles have 4 and multi-extension exposures of DECam 70; a malicious file may have millions."""

_MOST_HEADER_BYTES = 1456 * BLOCK  # 52,000 cards: fifty for each of 999 columns, the standard's limit
_MOST_AXES = 999  # FITS standard 4.0, section 4.4.1.1
_LARGEST = 2**62  # bytes: the limit of seek()
_HARMLESS = ("header keyword is invalid or follows an unrecognized",)  # a card that nothing here asks for
_OF_SIZE = re.compile(r"Z?(BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TILE\d+)|TFIELDS")
_END = b"END".ljust(80)
_TEXT_CARD = re.compile(rb"([A-Z0-9_-]{1,8}) *= +'((?:[^']|'')*)'")


class DamagedHeader(ValueError):
    """A header that cannot be used; the message says why, without the file's name."""


class _HeaderFile(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class ReadHeader:
    """A header, with what astropy does not read.

    Attributes
    ----------
    header : letters beyond ASCII, which the standard forbids and observatories write, are `?` in it
    texts : by keyword, the texts that have such letters
    notes : warnings of astropy that are not known to be harmless
    """

    header: fits.Header
    texts: dict[str, str]
    notes: list[str]

    def text(self, card: str) -> str:
        """Text of a card, "" if the header lacks it; raises what astropy raises for a card that cannot be parsed."""
        value = self.texts.get(card) or self.header.get(card, "")
        return "" if isinstance(value, Undefined) else str(value).strip()

    def text_if_any(self, card: str) -> str:
        """Text of a card that one can do without, "" if the header lacks it or it cannot be parsed."""
        try:
            return self.text(card)
        except fits.VerifyError:
            return ""


def read_header(file: _HeaderFile) -> fits.Header:
    """Read the header at the file's current position; afterwards the file is at the first byte of the data.

    Raises
    ------
    EOFError
        The file ends here.
    DamagedHeader
        The file ends inside the header, or the header has no END within 4 MB.
    """
    return read_whole_header(file).header


def read_whole_header(file: _HeaderFile) -> ReadHeader:
    """Read a header as `read_header` does, with its letters beyond ASCII."""
    blocks = bytearray()
    while len(blocks) < _MOST_HEADER_BYTES:
        block = file.read(BLOCK)
        if not block and not blocks:
            raise EOFError
        if len(block) < BLOCK:
            raise DamagedHeader("it is cut short inside the header")
        blocks += block
        if _ends(block):
            plain = blocks.decode("ascii", "replace").replace("\ufffd", "?")
            with collect_warnings(_HARMLESS) as notes:
                header = fits.Header.fromstring(plain)
                list(header.keys())  # astropy looks at a card, and warns, when its keyword is asked for
            return ReadHeader(header, {} if blocks.isascii() else _texts_beyond_ascii(blocks), notes)
    raise DamagedHeader(f"a header has no END within {_MOST_HEADER_BYTES:,} bytes")


def decode_text(text: bytes) -> tuple[str, str]:
    """Decode a text that should be ASCII as UTF-8 if it is valid, else as Latin-1; returns the encoding's name too."""
    try:
        return text.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        return text.decode("latin-1"), "Latin-1"


def check_sizes(header: fits.Header) -> None:
    """Check that the sizes in a header are counts.

    Raises
    ------
    DamagedHeader
        A size is not a count; the message names the card.
    """
    for card, n in Counter(header.keys()).items():
        if n > 1 and _OF_SIZE.fullmatch(card):  # astropy uses the first of them in one place, the last in another
            raise DamagedHeader(f"its header is damaged ({card} occurs {n} times)")
    if header.get("BITPIX") not in (8, 16, 32, 64, -32, -64):
        raise _bad_card("BITPIX", header.get("BITPIX"))
    for card in ("NAXIS", "ZNAXIS"):  # ZNAXIS: of a compressed image
        axes = header.get(card, 0 if card == "ZNAXIS" else None)
        if not _is_count(axes) or axes > _MOST_AXES:
            raise _bad_card(card, axes)
        for k in range(1, axes + 1):
            if not _is_count(header.get(f"{card}{k}")):
                raise _bad_card(f"{card}{k}", header.get(f"{card}{k}"))
    for card in ("PCOUNT", "GCOUNT"):
        if not _is_count(header.get(card, 1)):
            raise _bad_card(card, header[card])
    if data_bytes(header) > _LARGEST:
        raise DamagedHeader(f"its header is damaged (it declares {data_bytes(header):.0e} bytes of data)")


def data_bytes(header: fits.Header) -> int:
    """Compute the size of the data after a header, without padding (FITS standard 4.0, equation 2)."""
    sides = [int(header[f"NAXIS{axis}"]) for axis in range(1, int(header["NAXIS"]) + 1)]
    values = header.get("GCOUNT", 1) * (header.get("PCOUNT", 0) + math.prod(sides)) if sides else 0
    return int(abs(header["BITPIX"]) // 8 * values)


def padded_size(size: int) -> int:
    """Round a number of bytes up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _texts_beyond_ascii(blocks: bytearray) -> dict[str, str]:
    cards = (bytes(blocks[place : place + 80]) for place in range(0, len(blocks), 80))
    found = (_TEXT_CARD.match(card) for card in cards if not card.isascii())
    return {
        match[1].decode("ascii"): decode_text(match[2].replace(b"''", b"'"))[0].rstrip() for match in found if match
    }


def _ends(block: bytes) -> bool:
    return any(card == _END for card in _cards(block))


def _cards(block: bytes) -> Iterator[bytes]:
    return (block[place : place + 80] for place in range(0, BLOCK, 80))


def _bad_card(card: str, value: Any) -> DamagedHeader:
    return DamagedHeader(f"its header is damaged ({card} is {in_one_line(repr(value), 40)})")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
