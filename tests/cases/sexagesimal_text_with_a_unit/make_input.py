"""Text columns of positions with units: VizieR's h:m:s and d:m:s, numbers in hours, and degrees stated of 10:12:34."""

from astropy.table import Table


def vot(file: str, first_id: int, ra: list[str], ra_unit: str, dec: list[str], dec_unit: str) -> None:
    table = Table({"COADD_OBJECT_ID": [first_id + k for k in range(len(ra))], "RA": ra, "DEC": dec})
    table.write(file, format="votable")
    with open(file) as opened:
        text = opened.read()
    text = text.replace('name="RA"', f'name="RA" unit="{ra_unit}"').replace(
        'name="DEC"', f'name="DEC" unit="{dec_unit}"'
    )
    with open(file, "w") as opened:
        opened.write(text)


vot("vizier.vot", 1, ["02 00 24.0", "2:00:24"], "&quot;h:m:s&quot;", ["-00 12 36", "-0:12:36"], "&quot;d:m:s&quot;")
vot("hours.vot", 11, ["2.006666666666667", "02h00m24s"], "h", ["-756", "-00d12m36s"], "arcsec")
vot("degrees.vot", 21, ["30.1", "02h00m24s", "02:00:24"], "deg", ["-0.21", "-0.21", "-0.21"], "deg")
