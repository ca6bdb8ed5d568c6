"""The true classes stand in a column `class`, or nowhere; a set of them would be frozen without truth."""

from pathlib import Path

Path("class.csv").write_text("object_id,class\n1000,spiral\n1001,elliptical\n")
Path("lable.csv").write_text("object_id,lable\n1000,spiral\n")
Path("ids.csv").write_text("object_id\n1000\n1001\n")
