"""A figure, a list and a table go to a folder that was never made, to a folder's own name, and to a file's inside."""

from pathlib import Path

Path("a file").write_text("no folder")
Path("figures").mkdir()
