"""A file is recognised by its content, and a wrong --layout is told with the right one."""

import json
from pathlib import Path

import pytest

from catbuilder.active_learning.platform_layouts import Layout, recognise, require_layout
from catbuilder.core.errors import InputError

FILES = {
    "plain table": "object_id,label,annotator\n1,spiral,ann\n",
    "classifications": "classification_id,user_name,Annotations,SUBJECT_DATA\n1,ann,[],{}\n",
    "reductions": "subject_id,workflow_id,task,reducer,data.yes,data.no\n5,1,T0,question_reducer,1,2\n",
    "extracts": "classification_id,user_name,subject_id,task,extractor,data.yes\n1,ann,5,T0,question_extractor,1\n",
    "subjects": "subject_id,project_id,metadata,locations\n5,1,{},{}\n",
    "json": "\n" + json.dumps([{"data": {}, "annotations": []}]),
    "label studio table": '"annotation_id"\t"annotator"\t"label"\t"lead_time"\n1\t"7"\t"spiral"\t3\n',
    "unknown": "a,b\n1,2\n",
}
READS: dict[str, Layout] = {
    "plain table": "plain", "classifications": "zooniverse", "reductions": "zooniverse", "json": "labelstudio",
    "label studio table": "labelstudio",
}  # fmt: skip


@pytest.mark.parametrize("content", FILES)
def test_content_is_recognised(tmp_path: Path, content: str):
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "f").write_bytes(mark + FILES[content].encode())
        assert recognise(tmp_path / "f") == content


@pytest.mark.parametrize("content", sorted(set(FILES) - {"unknown"}))
@pytest.mark.parametrize("layout", ["plain", "zooniverse", "labelstudio"])
def test_a_wrong_layout_is_told_with_the_right_one(tmp_path: Path, content: str, layout: Layout):
    (tmp_path / "f").write_text(FILES[content])
    right = READS.get(content)
    if right == layout:
        assert require_layout(tmp_path / "f", layout) == content
        return
    with pytest.raises(InputError) as refused:
        require_layout(tmp_path / "f", layout)
    advice = {"plain": "leave out --layout", None: "give the"}.get(right, f"give --layout {right}")
    assert advice in str(refused.value)


def test_what_is_no_table_is_left_to_its_reader(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"\xff\xfe\x00a")
    assert recognise(tmp_path / "f") == recognise(tmp_path) == recognise(tmp_path / "none") == "unknown"
    with pytest.raises(InputError, match="neither the columns annotations and subject_data"):
        (tmp_path / "t").write_text(FILES["unknown"])
        require_layout(tmp_path / "t", "zooniverse")
