"""Write figures as picture files of the formats that people may name."""

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from catbuilder.core.errors import InputError
from catbuilder.core.files import atomic_write

FORMATS = (".png", ".pdf", ".svg")
_DPI = 200


def require_picture(file: Path) -> None:
    """Raise InputError unless the file's name ends in one of `FORMATS`."""
    if file.suffix.lower() not in FORMATS:
        raise InputError(f"{file} is no picture that can be drawn; give a name that ends in {', '.join(FORMATS)}")


def save_figure(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, PDF or SVG, with neither a date nor random names inside: the same figure, the same file.

    Raises
    ------
    InputError
        The file's name ends in none of these.
    """
    require_picture(file)
    with atomic_write(file) as temporary, rc_context({"svg.hashsalt": "catbuilder", "grid.color": "0.9"}):
        date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(file.suffix.lower())
        figure.savefig(temporary, dpi=_DPI, metadata=date)
