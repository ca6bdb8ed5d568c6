"""A table of images names its columns as catalogues do, RA, DEC, Label, Split; another has no known positions."""

from pathlib import Path

from support.workspaces import write_images

write_images(Path("images"), [f"g{i}.png" for i in range(4)])
Path("sdss.csv").write_text(
    "Object_ID,FILE,RA,DEC,Label,Split,MAG_R,note\n"
    "1,g0.png,10.5,-1.0,spiral,validation,17,x\n2,g1.png,50,2,elliptical,none,18,y\n3,g2.png,51,2,spiral,,18,\n"
)
Path("none.csv").write_text("object_id,file,RAJ2000,DEJ2000\n7,g3.png,11.5,-1.01\n")
