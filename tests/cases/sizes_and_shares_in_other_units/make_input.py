"""Radii in arcmin, sizes in arcsec where the archive has pixels, and votes in per cent."""

import numpy as np
from astropy.table import Table

sdss = Table({"objID": [587722983361675518, 587722983361675519], "ra": [10.0, 11.0], "dec": [1.0, 2.0]})
sdss["petroRad_r"] = [0.1, -9999.0]  # -9999 is 'not measured' in any unit
sdss["petroRad_r"].unit = "arcmin"
sdss.write("radii.vot", format="votable")

des = Table({"COADD_OBJECT_ID": [1, 2], "RA": [10.0, 11.0], "DEC": [1.0, 2.0], "KRON_RADIUS": [3.5, 3.5]})
des["A_IMAGE"] = np.array([2.63, 5.26])
des["A_IMAGE"].unit = "arcsec"
des.write("axes.fits")

votes = ["P_EL", "P_CW", "P_ACW", "P_EDGE", "P_DK", "P_MG", "P_CS", "P_EL_DEBIASED", "P_CS_DEBIASED"]
gz1 = Table({"OBJID": [587722983361675520], "RA": [12.0], "DEC": [1.0], "NVOTE": [30]})
for name in votes:
    gz1[name] = [0.8 if name == "P_CS_DEBIASED" else 0.2]
    gz1[name].unit = "%"
gz1.write("votes.ecsv")
