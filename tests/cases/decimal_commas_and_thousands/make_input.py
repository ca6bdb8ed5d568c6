"""Numbers with a decimal comma, or with a comma between thousands: 10,5 is no 105, and 1,017.5 no 1."""

from pathlib import Path

from support.workspaces import write_images

write_images(Path("images"), ["g0.png"])
Path("commas.csv").write_text(
    'COADD_OBJECT_ID,RA,DEC,MAG_AUTO_G\n1,"10,5",1,17\n2,11.5,2,"17,5"\n"1,003",12.5,3,17\n4,13.5,3,17\n'
)
Path("semicolons.csv").write_text("COADD_OBJECT_ID;RA;DEC;MAG_AUTO_G\n11;10,5;1,5;17,5\n")
Path("images.csv").write_text('object_id,file,ra,dec\n1,g0.png,"10,5",1\n')
