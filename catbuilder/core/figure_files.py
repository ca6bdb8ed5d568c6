"""Write matplotlib figures to PNG, PDF and SVG files."""

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from catbuilder.core.files import atomic_write

_DPI = 200


def save_figure(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, PDF or SVG. The same figure gives the same bytes: no date, no random names."""
    with atomic_write(file) as temporary, rc_context({"svg.hashsalt": "catbuilder", "grid.color": "0.9"}):
        date = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(file.suffix.lower())
        figure.savefig(temporary, dpi=_DPI, metadata=date)
