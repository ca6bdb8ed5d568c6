"""A column is named with é as one letter in the file and as e and an accent on the command line, and the other way."""

import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from support.table_formats import field, text_field, votable

COMPOSED, PARTED = (unicodedata.normalize(form, "catégorie") for form in ("NFC", "NFD"))
Path("composed.csv").write_text(f"id,{COMPOSED}\n1000,S\n1001,E\n", encoding="utf-8")
pq.write_table(pa.table({"id": [1000, 1001], PARTED: ["S", "E"]}), "parted.parquet")
fields = field("id", "long") + text_field(PARTED)
Path("parted.vot").write_text(votable(fields, [(1000, "S"), (1001, "E")]), encoding="utf-8")
Path("twice.csv").write_text(f"id,{COMPOSED},{PARTED}\n1000,S,S\n", encoding="utf-8")
