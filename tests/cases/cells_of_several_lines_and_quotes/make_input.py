"""Cells that are correct: of several lines, with commas and doubled quotes, and with a mark of arcseconds."""

from pathlib import Path

Path("labels.csv").write_text(
    'object_id,label,note,annotator\n1000,spiral,"bright star,\nnear, the ""edge""\n",ann\n'
    '1001,spiral,5" from a star,bob\n1002,elliptical,,"o\'neil, m."\n1003,spiral,"a\n\nb",cyd\n'
)
Path("inside.csv").write_text('object_id,label,annotator\n1004,spiral,"cyd" b\n1005"6,spiral,dan\n1005,spiral,eve\n')
