"""A cell is longer than the 131,072 letters that Python's reader allows, or than the 2,000,000 bytes of DuckDB's."""

from pathlib import Path

from support.workspaces import write_images

write_images(Path("images"), [f"g{i}.png" for i in range(2)])
LONG = "x" * 200_000
Path("labels.csv").write_text(f"object_id,label,notes\n1000,spiral,{LONG}\n1001,spiral,ok\n")
Path("images.csv").write_text(f'object_id,file,notes\n1,g0.png,"{LONG},\n"\n2,g1.png,\n')
Path("des.csv").write_text(f"COADD_OBJECT_ID,RA,DEC,NOTE\n1,1,1,{LONG}\n2,2,1,{LONG * 11}\n3,3,1,\n")
Path("id.csv").write_text(f"object_id,label\n{LONG},spiral\n")
