"""A stray quote comes before one that begins a cell; a file ends inside a cell without a line break; ditto marks."""

from pathlib import Path

HEADER = "OBJID,RA,DEC,NVOTE,P_EL_DEBIASED,P_CS_DEBIASED,NAME\n"
LATER = '1,10,1,30,0.9,0.1,"abc\n2,11,1,30,0.9,0.1,x\n3,12,1,30,0.9,0.1,y"'
Path("stray.csv").write_text(HEADER + '9,9,1,30,0.9,0.1,5" ap\n' + LATER + "\n")
Path("cut.csv").write_text(HEADER + LATER)
Path("ditto.csv").write_text(
    "object_id,label,annotator\n1000,spiral,ann\n"
    + "".join(f'{n},spiral,"\n' for n in range(1001, 1005))
    + "1005,spiral,ann\n"
)
