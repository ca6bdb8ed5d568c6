"""Each kind of file of answers is given with a layout that is not its own."""

from pathlib import Path

from support.platform_exports import classification, task, write_classifications, write_subjects

write_classifications(Path("c.csv"), [classification("ann", 1000, task("Spiral"))])
write_subjects(Path("subjects.csv"), {70: 1000})
Path("plain.csv").write_text("object_id,label\n1000,spiral\n")
Path("extracts.csv").write_text("classification_id,user_name,subject_id,task,extractor,data.yes\n1,ann,70,T0,q,1\n")
