"""Ways to spoil a file: of bytes in general, and of FITS, PNG and safetensors so that their checks are passed.

Everything is drawn from one stream of random numbers, so that an input is named by its parser, seed and number.
"""

import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence

Mutation = Callable[[random.Random, bytes], bytes]

_NUMBERS = (
    b"0", b"-1", b"1", b"2", b"255", b"256", b"32768", b"65535", b"65536", b"2147483647", b"2147483648", b"-2147483649",
    b"4294967296", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"1e308", b"1e999",
    b"-1e-400", b"NaN", b"inf", b"-inf", b"0.1", b"1_000", b"0x10", b"1E5", b"007", b"9" * 30, b"9" * 5000,
)  # fmt: skip
_BYTES = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\n",
    b"\r",
    b'"',
    b"'",
    b",",
    b" ",
    b"\xef\xbb\xbf",
    b"\xc3\x28",
    b"\x1b[2J",
)
_LONGEST = 2_000_000  # bytes of an input: repeating a slice shall not turn into a test of the disk


def spoil(rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes], structured: Mutation | None) -> bytes:
    """One seed with one to eight things wrong; now and then as it is."""
    data = rng.choice(seeds)
    for _ in range(min(8, int(rng.expovariate(0.4)) + (rng.random() < 0.98))):
        if structured is not None and rng.random() < 0.5:
            data = structured(rng, data)
        else:
            data = _of_bytes(rng, data, seeds, words)
    return data[:_LONGEST]


def _of_bytes(rng: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + int(rng.expovariate(1 / 20)) + 1)
    before, slice_, after = data[:start], data[start:end], data[end:]
    match rng.randrange(12):
        case 0:  # a bit
            if not slice_:
                return data
            return before + bytes([slice_[0] ^ (1 << rng.randrange(8))]) + data[start + 1 :]
        case 1:  # random bytes in place of others
            return before + rng.randbytes(len(slice_)) + after
        case 2:  # deleted
            return before + after
        case 3:  # twice
            return before + slice_ + slice_ + after
        case 4:  # very often
            return before + slice_ * rng.choice((10, 10, 100, 100, 1000, 1000, 20_000)) + after
        case 5:  # cut short
            return before
        case 6:  # a byte that means something to somebody
            return before + rng.choice(_BYTES) * rng.choice((1, 1, 2, 80)) + data[start:]
        case 7:  # a word of the format
            return before + (rng.choice(words) if words else b"") + rng.choice((data[start:], after))
        case 8:  # a whole number in binary
            value = rng.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1))
            width = rng.choice((2, 4, 8))
            packed = (value % 256**width).to_bytes(width, rng.choice(("little", "big")))
            return before + packed + data[start + width :]
        case 9:  # another number in place of one
            return _renumbered(rng, data)
        case 10:  # the beginning of one seed and the end of another
            other = rng.choice(seeds)
            return before + other[rng.randrange(len(other) + 1) :]
        case _:  # two lines change places
            lines = data.split(b"\n")
            first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[first], lines[second] = lines[second], lines[first]
            return b"\n".join(lines)


def _renumbered(rng: random.Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", data[:20_000]))
    if not found:
        return data
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(_NUMBERS) + data[one.end() :]


_KEYS = (
    "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT", "TFIELDS", "TFORM1", "TFORM2",
    "TTYPE1", "TTYPE2", "TNULL1", "TSCAL1", "TZERO1", "TSCAL2", "TZERO2", "TDIM1", "TDISP1", "THEAP", "ZIMAGE",
    "ZTABLE",
    "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZQUANTIZ", "ZNAME1", "ZVAL1", "EXTNAME",
    "XTENSION", "BSCALE", "BZERO", "BLANK", "CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CD1_1", "CD1_2", "CD2_2",
    "CUNIT1", "RADESYS", "EQUINOX", "PV1_1", "A_ORDER", "A_2_0", "MAGZERO", "BAND", "FILTER", "BANDS", "SURVEY", "END",
    "CONTINUE", "HIERARCH a", "WCSAXES", "LONPOLE", "NAXIS9",
)  # fmt: skip
_VALUES = (
    "T", "F", "0", "1", "-1", "2", "3", "8", "16", "-32", "-64", "64", "7", "999", "1000", "100000", "2147483648",
    "9223372036854775807", "-9223372036854775808", "99999999999999999999", "1E400", "NaN", "'NaN'", "''", "'", "'K'",
    "'J'", "'1PJ(5)'", "'1QD(99999999)'", "'9999999999A'", "'0A'", "'E'", "'D'", "'X'", "'12X'", "'C'", "'L'",
    "'1000K'",
    "'RICE_1'", "'GZIP_2'", "'PLIO_1'", "'HCOMPRESS_1'", "'NOCOMPRESS'", "'BOGUS'", "'BINTABLE'", "'IMAGE'", "'TABLE'",
    "'SCI'", "'MSK'", "'RA---TAN'", "'DEC--TPV'", "'RA---SIP'", "'XXXX-YYY'", "'grz'", "'g'", "'des'", "(1,2)",
    "'a&'", "0.0", "1.5", "'(3,2)'", "360.0", "91.0", "30.0", "-1E300",
)  # fmt: skip


def spoil_card(rng: random.Random, data: bytes) -> bytes:
    """One card of 80 bytes of a FITS header replaced, removed or repeated; the blocks keep their length."""
    cards = [k for k in range(0, min(len(data), 60_000) - 79, 80) if data[k : k + 1].isalpha()]
    if not cards:
        return data
    place = rng.choice(cards)
    card = data[place : place + 80]
    kind = rng.random()
    if kind < 0.55:  # another value of this key
        new = card[:10] + f"{rng.choice(_VALUES):>20}".encode()
    elif kind < 0.9:  # another key in its place
        new = f"{rng.choice(_KEYS):<8}= {rng.choice(_VALUES):>20}".encode()
    else:
        new = b""
    return data[:place] + new[:80].ljust(80) + data[place + 80 :]


def spoil_chunk(rng: random.Random, data: bytes) -> bytes:
    """One chunk of a PNG spoiled, with a checksum that is right again; of what is no PNG, nothing."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    chunks, place = [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks:
        return data
    which = rng.randrange(len(chunks))
    name, body = chunks[which]
    kind = rng.randrange(4)
    if kind == 0:
        body = _of_bytes(rng, body, [body], [])
    elif kind == 1 and name == b"IHDR" and len(body) == 13:
        size = [rng.choice((0, 1, 15, 16, 64, 3000, 65536, 2**31 - 1)) for _ in range(2)]
        rest = [rng.choice((1, 2, 4, 8, 16)), rng.choice((0, 2, 3, 4, 6, 5)), 0, 0, rng.randrange(2)]
        body = struct.pack(">IIBBBBB", *size, *rest)
    elif kind == 2:
        name = rng.choice(
            (b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"eXIf", b"acTL", b"fcTL", b"IEND", b"gAMA", b"iTXt")
        )
    else:
        chunks.insert(which, chunks[which])
    chunks[which] = (name, body[:100_000])
    packed = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks)
    return data[:8] + b"".join(packed)


def spoil_tensors(rng: random.Random, data: bytes) -> bytes:
    """The JSON header of a safetensors file spoiled, with a length that is right again."""
    if len(data) < 8:
        return data
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length]
    words = [b'"F32"', b'"I64"', b'"BF16"', b'"__metadata__"', b"[0,0]", b"null", b"{}", b'"catbuilder"']
    header = _of_bytes(rng, header, [header], words)[:100_000]
    return len(header).to_bytes(8, "little") + header + data[8 + length :]
