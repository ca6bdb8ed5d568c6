"""Another catalogue gives Galactic longitude and latitude, in columns of these names, and positions of B1950."""

import numpy as np
from astropy import units as u
from astropy.coordinates import FK4, SkyCoord
from astropy.table import Table

i = np.arange(30)
place = SkyCoord((10.5 + i) * u.deg, (-1 - i / 100) * u.deg)
old = place.transform_to(FK4(equinox="B1950"))
table = Table(
    {"GLON": place.galactic.l.deg, "GLAT": place.galactic.b.deg, "RAB1950": old.ra.to_string("hour", precision=4)}
)
table["DEB1950"], table["type"] = old.dec.to_string("deg", precision=3), np.where(i % 2, "spiral", "elliptical")
table.write("other.csv")
with open("labels.csv", "w") as file:
    file.write("object_id,label\n" + "".join(f"{1000 + k},{'spiral' if k % 2 else 'elliptical'}\n" for k in i))
