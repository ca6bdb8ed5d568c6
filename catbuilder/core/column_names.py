"""Guess which column of ours a name in a user's table means, for hints in messages.

Columns are read by their names alone (in any case), never by a guess.
"""

import difflib
import re
from collections.abc import Sequence

# Names that catalogues and people use, without case and marks.
_SPELLINGS = {
    "object_id": "id objid objectid objectname objname sourceid galaxyid galid coaddobjectid dr7objid dr8objid",
    "ra": "radeg raj2000 raicrs rajdeg rightascension alpha alphaj2000 alphawinj2000 radegrees radeg2000",
    "dec": "decdeg dedeg dej2000 decj2000 deicrs decicrs declination decl delta deltaj2000 deltawinj2000 decdegrees",
    "label": "labels class classes type morphology morph truth trueclass truelabel classification gzclass gz2class",
    "file": "files filename filepath path image img imagefile imagename picture jpg jpeg png",
    "survey": "catalog catalogue dataset",
    "split": "set subset partition fold",
    "annotator": "user username volunteer classifier labeller labeler person who",
    "confidence": "probability prob",
    "source": "origin",
    "votes": "vote votefraction voteshare fraction",
    "radius_arcsec": "radius petrorad petroradr kronradius fluxradius",
    "mag_g": "magg g gmag modelmagg magautog", "mag_r": "magr r rmag modelmagr magautor",
    "mag_i": "magi i imag modelmagi magautoi",
}  # fmt: skip
_SIMILAR = 0.8  # of difflib: lable for label


def meant_column(name: str, columns: Sequence[str]) -> str | None:
    """Return which of these columns a name seems to mean, or None."""
    plain = re.sub(r"[\W_]", "", name.lower())
    for column in columns:
        if plain == column.replace("_", "") or plain in _SPELLINGS.get(column, "").split():
            return column
    near = difflib.get_close_matches(name.lower(), columns, n=1, cutoff=_SIMILAR)
    # mag_z is not mag_g: a letter that is another one does not make it likely
    return near[0] if near and (len(near[0]) != len(name) or sorted(near[0]) == sorted(name.lower())) else None
