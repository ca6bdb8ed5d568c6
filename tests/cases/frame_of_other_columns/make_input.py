"""A VOTable has galactic coordinates beside RA and DEC, each with a system of its own, or RA and DEC with none."""

from pathlib import Path


def reference(system: str) -> str:
    return f' ref="{system}"' if system else ""


def write(name: str, systems: str, ref: str, object_id: int) -> None:
    fields = [
        ("COADD_OBJECT_ID", "long", ""), ("RA", "double", ref), ("DEC", "double", ref),
        ("GLON", "double", "g"), ("GLAT", "double", "g"),
    ]  # fmt: skip
    text = "".join(f'<FIELD name="{field}" datatype="{kind}"{reference(system)}/>' for field, kind, system in fields)
    cells = "".join(f"<TD>{cell}</TD>" for cell in (object_id, 150.0, 2.0, 236.0, 42.0))
    Path(name).write_text(
        f'<VOTABLE version="1.3"><RESOURCE>{systems}<TABLE>{text}<DATA><TABLEDATA><TR>{cells}</TR></TABLEDATA></DATA>'
        "</TABLE></RESOURCE></VOTABLE>"
    )


GALACTIC = '<COOSYS ID="g" system="galactic"/>'
write("fk4.vot", f'<COOSYS ID="b" system="eq_FK4" equinox="B1950"/>{GALACTIC}', "b", 1)
write("none.vot", GALACTIC, "", 2)
