"""Archives of several files and packings that are not read, under the names of tables."""

import io
import zipfile
from pathlib import Path

out = io.BytesIO()
with zipfile.ZipFile(out, "w") as archive:
    archive.writestr("table.csv", "COADD_OBJECT_ID,RA,DEC\n1,10,1\n")
for name in ("a.csv", "a.fits", "a.vot"):
    Path(name).write_bytes(out.getvalue())
Path("b.csv.gz").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
