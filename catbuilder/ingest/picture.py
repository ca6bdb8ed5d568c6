"""Read JPEG and PNG images into stamps of one size, with quality flags.

Archives give images of galaxies as JPEG or PNG of any size. Training, scoring and the firewall need one shape: uint8
RGB, square, with the orientation of the file. Two rules make this work for millions of files. A bad file raises
nothing: it is returned with a flag and a reason, and the other rows still load. And nothing is guessed: a 16-bit or
palette image is refused with a reason, because a stretch to 8 bits would be ours and not the archive's.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

QUALITY_FLAGS: dict[str, str] = {
    "blank": "every pixel has the same colour: there is no image here",
    "nearly_blank": "no source rises above the background or the noise",
    "saturated": "at least a tenth of the frame is clipped in a channel, mostly by a bright star",
    "unreadable": "the file cannot be read as an 8-bit RGB or grey JPEG or PNG",
    "too_small": "the shorter side of the file has fewer than 16 pixels",
    "masked": "too many of its pixels, or one near the centre, have no data (stamps cut from tiles)",
    "truncated": "part of its box lies beyond the tile it was cut from",
    "misplaced": "its stated position is far from the catalogue's position of its id: it shows another object",
}

FLAGGED_STAMPS = "SELECT object_id, quality, reason FROM stamps WHERE quality <> 'ok'"
"""SQL that lists the stamps which are kept out of training and scoring."""

MIN_NATIVE_SIDE = 16
"""Shorter sides than this (pixels) are flagged too_small: about 4 arcsec of DES, less than most galaxies."""


@dataclass(frozen=True)
class Picture:
    """Pixels, size and quality of one image file.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (size, size, 3), or None when unreadable
    sha256 : hex digest of the file's bytes, empty when the file could not be read
    width, height : native pixels before cropping and resizing, 0 when unreadable
    flags : keys of `QUALITY_FLAGS`, empty when nothing is wrong
    reason : one sentence for the user when unreadable, else None
    """

    pixels: np.ndarray | None
    sha256: str
    width: int
    height: int
    flags: tuple[str, ...]
    reason: str | None


def read_picture(path: Path, size: int, max_pixels: int = 64_000_000) -> Picture:
    """Read a JPEG or PNG as a `size` x `size` RGB stamp; a bad file is returned with a flag.

    Grey becomes RGB with equal channels; an alpha channel is dropped where it hides nothing. A frame that is not
    square loses the ends of its longer side: cutouts are centred on their object, and cropping keeps the galaxy's
    shape where squeezing would make a round one elliptical. It is turned as EXIF says, as viewers do, so that the
    network sees what people see. The quality flags are those of the returned pixels.

    Parameters
    ----------
    path : the file
    size : side of the returned stamp, pixels
    max_pixels : files that declare more pixels than this are refused before anything is decoded
    """
    digest = ""
    try:
        data = _read_bytes(path, max_pixels)
        digest = hashlib.sha256(data).hexdigest()
        image = _decode(data, max_pixels)
    except _Unreadable as error:
        return Picture(None, digest, 0, 0, ("unreadable",), f"{path.name}: {error}")
    pixels = _square(image, size)
    small = ("too_small",) if min(image.size) < MIN_NATIVE_SIDE else ()
    return Picture(pixels, digest, image.width, image.height, quality_flags(pixels) + small, None)


def quality_flags(pixels: np.ndarray) -> tuple[str, ...]:
    """Find which of the flags blank, nearly_blank and saturated apply to a stamp, by its pixels alone.

    Parameters
    ----------
    pixels : uint8, shape (height, width, 3)
    """
    return quality_flags_of(pixels[None])[0]


def quality_flags_of(stamps: np.ndarray) -> list[tuple[str, ...]]:
    """Find these flags of many stamps of one size, uint8 (n, height, width, 3)."""
    blank = (stamps == stamps[:, :1, :1]).all(axis=(1, 2, 3))
    # Band by band: numpy's reductions over an axis of three take up to ten times as long.
    red, green, blue = np.moveaxis(stamps.astype(np.float32), -1, 0)
    nearly_blank = _has_no_source((red + green + blue) / np.float32(3))
    saturated = clipped_fraction(stamps) >= MAX_CLIPPED_FRACTION
    named = {"nearly_blank": nearly_blank, "saturated": saturated}
    return [
        ("blank",) if blank[k] else tuple(flag for flag, found in named.items() if found[k]) for k in range(len(stamps))
    ]


def count_flags(flagged: Mapping[str, int]) -> str:
    """List the counts of quality flags, such as '2 blank, 1 saturated'."""
    return ", ".join(f"{n} {flag}" for flag, n in sorted(flagged.items()))


MAX_CLIPPED_FRACTION = 0.10
"""Of 6,514 real stamps the 10 above this all lie in the glare of a bright star; in sets chosen as galaxies
none passes 0.02."""

CLIPPED_LEVEL = 250
"""JPEG and resampling move a clipped 255 by a few levels."""


def clipped_fraction(stamps: np.ndarray) -> np.ndarray:
    """Compute the share of pixels of each stamp, uint8 (n, height, width, 3), that are clipped in a channel.

    One channel is enough: colour-preserving stretches (Lupton et al. 2004) scale a saturated star so that only its
    brightest band reaches 255, and demanding all three found none of the glare in SDSS frames.
    """
    red, green, blue = np.moveaxis(stamps, -1, 0)
    return np.asarray((np.maximum(np.maximum(red, green), blue) >= CLIPPED_LEVEL).mean(axis=(1, 2)))


# The two ways to have no source, measured on 6,514 real stamps at 64 and 96 px. Contrast: the least of any survey's
# galaxies is 27 levels; below 10 lie empty sky and specks in SDSS frames cut blind on the equator. Noise: frames of
# it, at native sizes of 39 to 299 px, reach a coherence of 0.28 and an asymmetry of 2.0 (unless clipped at black,
# with a contrast below 10 again); of the real stamps only one, below 10 as well, lies under both limits.
_MIN_CONTRAST = 10.0
_NOISE_COHERENCE = 0.3
_NOISE_ASYMMETRY = 2.0


def _has_no_source(brightness: np.ndarray) -> np.ndarray:
    """Whether each frame, (n, height, width), has too little contrast, or is as lumpy and as symmetric as noise."""
    smooth = _smoothed(brightness, max(brightness.shape[1:]) / 48).reshape(len(brightness), -1)
    smooth.sort(axis=1)  # which is faster than to look for five percentiles in unsorted numbers
    faintest, low, median, high, brightest = np.percentile(smooth, (0, 25, 50, 99, 100), axis=1)
    asymmetry = (brightest - median) / np.maximum(median - faintest, 1e-3)
    empty = high - low < _MIN_CONTRAST
    return np.asarray(empty | (asymmetry < _NOISE_ASYMMETRY) & (_coherence(brightness) < _NOISE_COHERENCE))


def _smoothed(frames: np.ndarray, sigma: float) -> np.ndarray:
    """Convolve frames with a Gaussian as scipy.ndimage does; to import that takes as long as hundreds of frames."""
    reach = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    weights /= weights[0] + 2 * weights[1:].sum()
    for axis in (1, 2):
        padding = [(reach, reach) if k == axis else (0, 0) for k in range(3)]
        wide, n = np.moveaxis(np.pad(frames, padding, "symmetric"), axis, 0), frames.shape[axis]
        smooth = np.float32(weights[0]) * wide[reach : reach + n]
        for k in range(1, reach + 1):
            smooth += np.float32(weights[k]) * (wide[reach - k : reach - k + n] + wide[reach + k : reach + k + n])
        frames = np.moveaxis(smooth, 0, axis)
    return frames


def _coherence(brightness: np.ndarray) -> np.ndarray:
    """Scatter of an 8 x 8 grid of block means over the pixels' scatter: near 0 for noise, near 1 for structure."""
    edges = [np.linspace(0, side, min(8, side), endpoint=False).astype(int) for side in brightness.shape[1:]]
    sums = np.add.reduceat(np.add.reduceat(brightness, edges[0], axis=1), edges[1], axis=2)
    counts = [np.diff(edge, append=side) for edge, side in zip(edges, brightness.shape[1:], strict=True)]
    scatter = brightness.reshape(len(brightness), -1).std(axis=1)
    return np.asarray((sums / np.outer(*counts)).std(axis=(1, 2)) / np.maximum(scatter, 1e-6))


_JPEG_SCAN = b"\xff\xda"
_MOST_SCANS = 100  # a progressive JPEG has about ten; each one costs a pass over all pixels, and takes 20 bytes to ask


class _Unreadable(Exception):
    """Raised and caught in this module: the file is not an 8-bit RGB or grey JPEG or PNG within the size limits."""


def _read_bytes(path: Path, max_pixels: int) -> bytes:
    """The file's bytes; `_Unreadable` if it is missing, not a plain file, empty or far too large."""
    try:
        if not path.is_file():  # a named pipe would block for ever
            raise _Unreadable("there is no such file" if not path.exists() else "this is not a plain file")
        length = path.stat().st_size
        # An 8-bit image never needs more than 4 bytes a pixel; the rest is room for metadata.
        if length > 4 * max_pixels + 2**24:
            raise _Unreadable(f"the file has {length:,} bytes, more than any image within the limit needs")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise _Unreadable(f"the file cannot be opened ({error})") from error
    if not data:
        raise _Unreadable("the file is empty (zero bytes): fetch it again")
    return data


def _decode(data: bytes, max_pixels: int) -> Image.Image:
    """Decode to a Pillow image of mode L or RGB; every way to fail is an `_Unreadable`."""
    is_png = data.startswith(b"\x89PNG\r\n\x1a\n")
    if not is_png and not data.startswith(b"\xff\xd8\xff"):
        raise _Unreadable("this is not a JPEG or PNG image")
    if is_png and data[24:25] not in (b"\x08", b""):
        # Pillow opens 16-bit RGB as mode RGB and drops the low bytes silently, so look at the header.
        raise _Unreadable(f"it has {data[24]} bits a channel; save it with 8, with the stretch you want")
    if not is_png and data.count(_JPEG_SCAN) > _MOST_SCANS:
        raise _Unreadable(f"it is a JPEG of more than {_MOST_SCANS} scans, which are too slow to decode; save it again")
    try:
        # The classes themselves: Image.open would add a size limit of its own and guess at other formats.
        with (PngImageFile if is_png else JpegImageFile)(io.BytesIO(data)) as image:
            _refuse_size_and_mode(image, max_pixels)
            image.load()
            return _upright(_without_alpha(image))
    except _Unreadable:
        raise
    # Damaged files make Pillow raise OSError, SyntaxError, ValueError, struct.error, zlib.error, IndexError,
    # MemoryError ... by version; a survey of millions holds them all, and one must not stop the others.
    except Exception as error:
        raise _Unreadable(f"the image is truncated or damaged ({error}): fetch it again") from error


def _refuse_size_and_mode(image: Image.Image, max_pixels: int) -> None:
    """Judge a header before a pixel is decoded: a 60 kB PNG can ask for gigabytes of memory."""
    if image.width * image.height > max_pixels:
        raise _Unreadable(
            f"it declares {image.width:,} x {image.height:,} pixels, above the limit of {max_pixels:,}: "
            "cut it to the object"
        )
    if getattr(image, "is_animated", False):
        raise _Unreadable("it holds several images (an animation); save the one you want")
    if image.mode not in ("L", "RGB", "LA", "RGBA"):
        raise _Unreadable(f"its colour mode is {image.mode}; save it as 8-bit RGB or grey")


def _without_alpha(image: Image.Image) -> Image.Image:
    """Drop a fully opaque alpha channel, which matplotlib always writes; refuse any transparency."""
    if image.mode in ("LA", "RGBA"):
        if np.asarray(image.getchannel("A")).min() < 255:
            raise _Unreadable("it is partly transparent; save it as 8-bit RGB or grey without transparency")
        return image.convert(image.mode[:-1])
    return image.copy()


def _upright(image: Image.Image) -> Image.Image:
    """Turn the image as its EXIF says; ignore an orientation that cannot be read."""
    try:
        return ImageOps.exif_transpose(image) if "exif" in image.info else image
    except Exception:  # EXIF is a TIFF of its own, with as many kinds of damage
        return image


def _square(image: Image.Image, size: int) -> np.ndarray:
    """Centre-crop to a square and resample to uint8 (size, size, 3).

    Lanczos, whose support Pillow widens when shrinking, so that noise and fine arms are averaged and not aliased;
    a plain reducing box would give blocky pixels at the fractional ratios (299 to 96) that archives bring.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.convert("RGB").crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))
