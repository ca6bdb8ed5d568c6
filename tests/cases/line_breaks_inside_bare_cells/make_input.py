"""Line breaks stand inside cells without quotes; a reader that skips such rows took whole rows beside them along."""

from pathlib import Path

rows = [f"{n},{n},1,tile {n}" if n % 3 else f"{n},{n},1,tile\n {n}" for n in range(1, 10)]
Path("lines.csv").write_text("COADD_OBJECT_ID,RA,DEC,TILENAME\n" + "\n".join(rows) + "\n\n\n10,10,1,tile\n")
Path("labels.csv").write_text(
    "object_id,label,annotator\n1000,spiral,ann\nbob\n1001,spiral,cyd\n1002,spi\nral,dan\n1003,spiral,eve\n"
)
