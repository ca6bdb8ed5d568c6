"""Write matplotlib figures to PNG, PDF and SVG files."""

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
        raise InputError(f"{file} is not a supported figure format; give a name that ends in {', '.join(FORMATS)}")


def save_figure(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, PDF or SVG. The same figure gives the same bytes: no date, no random names.

    Raises
    ------
    InputError
        The file's name ends in none of `FORMATS`.
    """
    require_picture(file)
    with atomic_write(file) as temporary, rc_context({"svg.hashsalt": "catbuilder", "grid.color": "0.9"}):
        date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(file.suffix.lower())
        figure.savefig(temporary, dpi=_DPI, metadata=date)
