"""A HATS collection as hats-import writes it: a catalogue, its thumbnail and metadata, a margin cache, an index."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def rows(*ids: int) -> pa.Table:
    return pa.table(
        {"_healpix_29": list(ids), "COADD_OBJECT_ID": list(ids), "RA": [float(i) for i in ids], "DEC": [1.0] * len(ids)}
    )


def catalogue(folder: str, kind: str, leaves: dict[str, pa.Table]) -> None:
    for leaf, table in leaves.items():
        file = Path(folder, "dataset", leaf)
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, file)
    whole = pa.concat_tables(leaves.values())
    pq.write_table(whole, f"{folder}/dataset/data_thumbnail.parquet")
    pq.write_metadata(whole.schema, f"{folder}/dataset/_metadata")
    pq.write_metadata(whole.schema, f"{folder}/dataset/_common_metadata")
    Path(folder, "hats.properties").write_text(
        f"#HATS catalog\nobs_collection=des\ndataproduct_type={kind}\nhats_nrows={len(whole)}\n"
    )
    Path(folder, "properties").write_text(f"dataproduct_type={kind}\n")
    Path(folder, "partition_info.csv").write_text("Norder,Npix\n0,4\n1,20\n")


os.mkdir("des")
catalogue("des/main", "object", {
    "Norder=0/Dir=0/Npix=4.parquet": rows(1, 2), "Norder=1/Dir=0/Npix=20/part0.parquet": rows(3),
    "Norder=1/Dir=0/Npix=20/part1.snappy.parquet": rows(4),
})  # fmt: skip
catalogue("des/margin_10arcs", "margin", {"Norder=0/Dir=0/Npix=5.parquet": rows(1)})
catalogue("des/index_id", "index", {"part0.parquet": rows(1, 2)})
Path("des/collection.properties").write_text(
    "obs_collection=des\nhats_primary_table_url=main\nall_margins=margin_10arcs\n"
)
catalogue("loose/main", "object", {"Norder=0/Dir=0/Npix=4.parquet": rows(11, 12)})
catalogue("loose/margin", "margin", {"Norder=0/Dir=0/Npix=5.parquet": rows(11)})
Path("old/Norder=0/Dir=0").mkdir(parents=True)
pq.write_table(rows(21, 22), "old/Norder=0/Dir=0/Npix=4.parquet")
Path("old/properties").write_text("catalog_type=object\n")
