"""A stray quote begins a cell and a later one ends it: correct CSV, in which the rows between are lost."""

from pathlib import Path

from support.workspaces import write_images

write_images(Path("images"), [f"g{i}.png" for i in range(4)])
BODY = '1001,spiral,"bob\n1002,spiral,cyd\n1003,elliptical,dan"\n1004,spiral,eve\n'
Path("labels.csv").write_text("object_id,label,annotator\n" + BODY)
Path("images.csv").write_text('object_id,file,n\n1,g0.png,"17.2\n2,g1.png,16.1"\n3,g2.png,16\n')
Path("des.csv").write_text('COADD_OBJECT_ID,RA,NOTE,DEC\n1,1,ok,1\n2,2,"oops,1\n3,3,more",1\n4,4,ok,1\n')
Path("swallowed.csv").write_text('COADD_OBJECT_ID,RA,DEC,NOTE\n2,2,1,"oops\n3,3,1,x\n4,4,1,y"\n5,5,1,ok\n')
