"""Read what astropy leaves in the metadata of a Parquet or FITS table for itself: units, masks and frames.

It takes columns apart that the format cannot hold (masked ones, coordinates), and drops units that the format does not
know, such as nanomaggies in FITS. In YAML beside the table it says what they were.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from astropy.table.meta import get_header_from_yaml

from catbuilder.ingest.tables.frames import frame_in, frame_with_equinox

_BEGIN, _END = "--BEGIN-ASTROPY-SERIALIZED-COLUMNS--", "--END-ASTROPY-SERIALIZED-COLUMNS--"
_CARD = 71  # letters of a COMMENT card whose line goes on; the last of them is a backslash


@dataclass(frozen=True)
class AstropyMetadata:
    """What the YAML says.

    Attributes
    ----------
    units : the unit of each column that has one
    masks : the column of truth values that says where a column has no value
    frames : the frame of each column that belongs to a coordinate (SkyCoord)
    frame : the frame of the positions in other columns, "" if it is not stated
    """

    units: dict[str, str] = field(default_factory=dict)
    masks: dict[str, str] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)
    frame: str = ""


def read_astropy_yaml(lines: Sequence[str]) -> AstropyMetadata:
    """Parse the YAML. A damaged one makes it and astropy raise errors of many kinds."""
    header = get_header_from_yaml(lines)
    meta = header.get("meta") or {}
    units = {str(column["name"]): str(column["unit"]) for column in header["datatype"] if column.get("unit")}
    serialized = meta.get("__serialized_columns__")
    return AstropyMetadata(units, dict(_masked(serialized)), _frames(serialized), frame_in(meta))


def lines_in_comments(comments: Sequence[str]) -> list[str]:
    """Find the lines of the YAML among the COMMENT cards of a FITS header; none if astropy left nothing."""
    if _BEGIN not in comments or _END not in comments:
        return []
    lines, begun = [], ""
    for card in comments[comments.index(_BEGIN) + 1 : comments.index(_END)]:
        if len(card) == _CARD and card.endswith("\\"):
            begun += card[:-1]
        else:
            lines.append(begun + card)
            begun = ""
    return lines


def _frames(serialized: object) -> dict[str, str]:
    """Give the frame of each column into which a coordinate was taken apart."""
    if not isinstance(serialized, Mapping):
        return {}
    coordinates = [one for one in serialized.values() if isinstance(one, Mapping) and isinstance(one.get("frame"), str)]
    return {
        name: frame_with_equinox(one["frame"], one.get("equinox")) for one in coordinates for name in _names_in(one)
    }


def _names_in(serialized: Mapping[str, object]) -> Iterator[str]:
    """Find the columns of a serialized one, which may itself be a masked one of two."""
    for part in serialized.values():
        if isinstance(part, Mapping):
            if isinstance(part.get("name"), str):
                yield part["name"]
            yield from _names_in(part)


def _masked(serialized: object) -> Iterator[tuple[str, str]]:
    """Find the pairs of a column and its mask."""
    if not isinstance(serialized, Mapping):
        return
    data, mask = serialized.get("data"), serialized.get("mask")
    if isinstance(data, Mapping) and isinstance(mask, Mapping):
        yield str(data.get("name")), str(mask.get("name"))
    for part in serialized.values():
        yield from _masked(part)
