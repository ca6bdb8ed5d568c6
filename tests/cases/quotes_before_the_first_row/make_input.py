"""Comments and headers with stray quotes: rows behind them are rows, and lines before them are not."""

import gzip
from pathlib import Path

HEADER = "COADD_OBJECT_ID,RA,DEC,NOTE"
ROWS = '{0},10,1,"two\nlines"\n{1},11,1,ok\n{2},12,1,"y"\n'


def write(name: str, before: str, first_id: int) -> None:
    Path(name).write_text(f"{before}\n{ROWS.format(first_id, first_id + 1, first_id + 2)}")


write("inches.csv", f'# seen with a 5" aperture\n{HEADER}', 10)
write("quote.csv", f'# 5,10,1,"a\n{HEADER}', 20)
write("two.csv", f'# a 5" aperture, "x\n{HEADER}', 30)
write("header.csv", f"#{HEADER.replace('NOTE', chr(34) + 'NOTE')}", 40)
write("plain.csv", '"COADD_OBJECT_ID","RA","DEC","NOTE"', 50)
write("blank.csv", f'# "\n\n{HEADER}', 60)
Path("packed.csv.gz").write_bytes(gzip.compress(f'# "\n{HEADER}\n{ROWS.format(70, 71, 72)}'.encode()))
Path("bad.csv").write_text(f'# "x\n{HEADER}\n80,1,1,ok\n81,1\n')
