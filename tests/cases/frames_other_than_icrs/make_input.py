"""Positions in the frame that the file states: FK4 of B1950, FK5 of J1975 and J2000, Galactic and ecliptic."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy import units as u
from astropy.coordinates import FK4, FK5, BarycentricMeanEcliptic, SkyCoord
from astropy.table import QTable, Table

PLACE = SkyCoord([10.0, 200.0] * u.deg, [20.0, -30.0] * u.deg)


def table(first_id: int, lon: object, lat: object, **meta: object) -> Table:
    return Table({"COADD_OBJECT_ID": np.arange(2) + first_id, "RA": lon.deg, "DEC": lat.deg}, meta=meta)


old = PLACE.transform_to(FK4(equinox="B1950"))
table(10, old.ra, old.dec, RADESYS="FK4", EQUINOX=1950.0).write("fk4.fits")
table(20, old.ra, old.dec, RADESYS="FK4", EQUINOX=1950.0).write("fk4.ecsv")
precessed = PLACE.transform_to(FK5(equinox="J1975"))
QTable({"COADD_OBJECT_ID": np.arange(2) + 30, "place": precessed}).write("skycoord.ecsv")
galactic = PLACE.galactic
made = table(40, galactic.l, galactic.b)
pq.write_table(
    pa.table({name: np.asarray(made[name]) for name in made.colnames}).replace_schema_metadata({"frame": "galactic"}),
    "galactic.parquet",
)
made = table(50, galactic.l, galactic.b)
made.write("galactic.vot", format="votable")
with open("galactic.vot") as file:
    text = file.read()
with open("galactic.vot", "w") as file:
    text = text.replace("<TABLE", '<COOSYS ID="g" system="galactic"/>\n  <TABLE', 1)
    file.write(text.replace('name="RA"', 'name="RA" ref="g"').replace('name="DEC"', 'name="DEC" ref="g"'))
ecliptic = PLACE.transform_to(BarycentricMeanEcliptic(equinox="J2000"))
table(60, ecliptic.lon, ecliptic.lat, RADESYS="ECLIPTIC").write("ecliptic.ecsv")
table(70, PLACE.ra, PLACE.dec, RADESYS="FK5", EQUINOX=2000.0).write("fk5.ecsv")
table(80, PLACE.ra, PLACE.dec, RADESYS="GAPPT").write("apparent.ecsv")
