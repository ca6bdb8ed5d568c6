"""The survey of labels is misspelt, on the command line or in the column `survey`; ids are texts."""

from pathlib import Path

Path("labels.csv").write_text("object_id,label\n1000,spiral\n")
Path("column.csv").write_text(
    "object_id,survey,label\n1000,DES,spiral\n1001,dess,spiral\nJ12+3,des,spiral\n1002,des,spiral\n"
)
Path("ask.csv").write_text("object_id,survey\n1000,sdds\n")
Path("text.csv").write_text("object_id,survey\nJ12+3,des\n")
