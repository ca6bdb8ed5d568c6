"""A download or a full disk cut the file in its last line; a last line that is whole but for its end is fine."""

from pathlib import Path

from support.workspaces import write_images

write_images(Path("images"), [f"g{i}.png" for i in range(2)])
Path("labels.csv").write_text("object_id,label,annotator\n1000,spiral,ann\n1001,ellip")
Path("whole.csv").write_text("object_id,label\n1002,spiral\n1003,elliptical")
Path("truth.csv").write_text("object_id,label,votes\n1000,spiral,1\n10")
Path("images.csv").write_text("object_id,file,ra,dec\n1,g0.png,1.5,2\n2,g1.png,1.")
Path("des.csv").write_text("COADD_OBJECT_ID,RA,DEC\n1,1.5,2\n2,2.")
Path("pairs.csv").write_text("sdss_objid,des_coadd_object_id\n1,2\n3")
