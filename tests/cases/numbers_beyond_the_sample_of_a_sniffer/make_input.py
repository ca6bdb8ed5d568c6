"""The first 21,000 rows have whole numbers; later ones have places, leading zeros and marks that no sniffer saw."""

from pathlib import Path

rows = [f"{n},{n % 360},1,17,0,0870" for n in range(1, 21_000)]
rows += [
    "21000.7,1,1,17,0,a",
    "021000,1,1,17.75,0,b",
    "21001,1.5,1,18,2.5,c",
    "21_002,1,1,17,0,d",
    "21003,true,1,17,0,e",
]
Path("many.csv").write_text("COADD_OBJECT_ID,RA,DEC,MAG_AUTO_G,FLAGS_G,TILENAME\n" + "\n".join(rows) + "\n")
