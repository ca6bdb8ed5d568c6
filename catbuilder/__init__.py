"""catbuilder: from a few thousand labelled galaxies to the catalogue of a whole sky survey.

These names are the public Python API, and nothing else is promised: every verb of the command line is one of these
calls (`docs/python.md`). They are listed in `__init__.pyi` and
imported when they are first used, so `import catbuilder` takes milliseconds.

Examples
--------
>>> import catbuilder
>>> workspace = catbuilder.open_workspace("des-y1")
>>> catbuilder.run_rounds(workspace, 3, "real")
>>> catbuilder.metrics(workspace).to_pylist()
>>> catbuilder.export(workspace, "des-y1.fits")
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
