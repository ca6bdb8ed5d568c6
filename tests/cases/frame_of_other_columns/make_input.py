"""Beside RA and DEC a table has other coordinates, whose frame is not that of RA and DEC, which have their own or none.

VOTables refer to a COOSYS or list their columns in a GROUP; astropy writes the frame of a SkyCoord into the metadata.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable


def reference(system: str) -> str:
    return f' ref="{system}"' if system else ""


def write(name: str, systems: str, ref: str, object_id: int, *, of_dec: str = "", of_others: str = "g") -> None:
    fields = [
        ("COADD_OBJECT_ID", "long", ""), ("RA", "double", ref), ("DEC", "double", of_dec or ref),
        ("GLON", "double", of_others), ("GLAT", "double", of_others),
    ]  # fmt: skip
    text = "".join(
        f'<FIELD ID="{field}" name="{field}" datatype="{kind}"{reference(system)}/>' for field, kind, system in fields
    )
    cells = "".join(f"<TD>{cell}</TD>" for cell in (object_id, 150.0, 2.0, 236.0, 42.0))
    Path(name).write_text(
        f'<VOTABLE version="1.3"><RESOURCE>{systems}<TABLE>{text}<DATA><TABLEDATA><TR>{cells}</TR></TABLEDATA></DATA>'
        "</TABLE></RESOURCE></VOTABLE>"
    )


GALACTIC = '<COOSYS ID="g" system="galactic"/>'
write("fk4.vot", f'<COOSYS ID="b" system="eq_FK4" equinox="B1950"/>{GALACTIC}', "b", 1)
write("none.vot", GALACTIC, "", 2)
write("mixed.vot", f'<COOSYS ID="b" system="eq_FK4" equinox="B1950"/>{GALACTIC}', "b", 3, of_dec="g")
group = (
    '<GROUP utype="stc:CatalogEntryLocation"><PARAM name="f" datatype="char" arraysize="*" value="GALACTIC" '
    'utype="stc:AstroCoordSystem.SpaceFrame.CoordRefFrame"/><FIELDref ref="GLON"/><FIELDref ref="GLAT"/></GROUP>'
)
write("group.vot", group, "", 4, of_others="")

place = SkyCoord([150.0] * u.deg, [2.0] * u.deg).transform_to("fk4")
table = QTable({"COADD_OBJECT_ID": np.array([5]), "RA": [150.0] * u.deg, "DEC": [2.0] * u.deg, "place": place})
table.write("skycoord.parquet")
table["COADD_OBJECT_ID"] = 6
table.write("skycoord.fits")
table["COADD_OBJECT_ID"] = 7
table.write("skycoord.ecsv")

votable = (
    f'<VOTABLE version="1.4"><RESOURCE>{GALACTIC}<TABLE><FIELD name="COADD_OBJECT_ID" datatype="long"/>'
    '<FIELD name="RA" datatype="double"/><FIELD name="DEC" datatype="double"/>'
    '<FIELD name="GLON" datatype="double" ref="g"/><FIELD name="GLAT" datatype="double" ref="g"/>'
    "</TABLE></RESOURCE></VOTABLE>"
)
columns = pa.table({"COADD_OBJECT_ID": [8], "RA": [150.0], "DEC": [2.0], "GLON": [236.0], "GLAT": [42.0]})
pq.write_table(columns.replace_schema_metadata({"IVOA.VOTable-Parquet.content": votable}), "votable.parquet")
