"""The name of a class of another catalogue is mistyped, or written in other letters."""

from pathlib import Path

Path("other.csv").write_text("id,type\n" + "".join(f"{1000 + k},{'S' if k % 2 else 'E'}\n" for k in range(30)))
Path("words.csv").write_text(
    "id,type\n" + "".join(f"{1000 + k},{'Spiral' if k % 2 else 'Elliptical'}\n" for k in range(30))
)
Path("labels.csv").write_text("object_id,label\n" + "".join(f"{1000 + k},spiral\n" for k in range(30)))
