"""An export of a catalogue, compared with it: the layout is known, and rows of other surveys are left out."""

from pathlib import Path

Path("labels.csv").write_text(
    "object_id,label\n" + "".join(f"{1000 + k},{'spiral' if k % 2 else 'elliptical'}\n" for k in range(30))
)
Path("sdss.csv").write_text("objID,ra,dec\n587722983361675518,100.0,1.0\n")
