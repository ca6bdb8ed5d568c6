"""Binary cells of a VOTable: integers without a value, of which version 1.2 marks a number and BINARY2 has a bit."""

import numpy as np
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

for first, kind in ((1, "binary"), (11, "binary2")):
    table = Table({"COADD_OBJECT_ID": [2**62 + first, first + 1], "RA": [10.5, 11.5], "DEC": [1.5, -2.5]})
    table["MAG_AUTO_G"] = MaskedColumn([18.5, 0.0], mask=[False, True])
    table["FLAGS_G"] = MaskedColumn(np.array([0, 3], np.int16), mask=[True, False])
    table["TILENAME"] = MaskedColumn(["DES 1", ""], mask=[False, True])
    found = from_table(table)
    fields = {one.name: one for one in found.get_first_table().fields}
    if kind == "binary":
        fields["FLAGS_G"].values.null = -1
    found.set_all_tables_format(kind)
    found.to_xml(f"{kind}.vot")
