"""Ask a catalogue again and again, while a round goes on, whether anything of half a step is to be seen.

As a process: `python -m support.whole_steps WORKSPACE STOP`. It ends when the file STOP is there, and prints how often
it has read and what it has seen, as JSON.
"""

import json
import sys
import time
from pathlib import Path

from catbuilder.catalogue.workspace import Workspace

# Each is a sentence of what may never be seen, and is asked in one transaction.
HALF_STEPS = {
    "a model without its step": """
        SELECT (SELECT count(*) FROM models) <> (SELECT count(*) FROM steps WHERE step = 'trained')""",
    "some of the scores": """
        SELECT (SELECT count(*) FROM predictions)
            <> coalesce((SELECT sum((details ->> '$.objects')::INT) FROM steps WHERE step = 'scored'), 0)""",
    "some of the promotions": """
        SELECT (SELECT count(*) FROM labels WHERE source = 'promoted' AND kind = 'label')
            <> coalesce((SELECT sum(list_sum(map_values((details -> '$.promoted')::MAP(VARCHAR, INT))))
                         FROM steps WHERE step = 'decided'), 0)""",
    "some of the metrics": """
        SELECT ((SELECT count(*) FROM metrics) > 0) <> EXISTS (FROM steps WHERE step = 'evaluated')""",
    "a gap in the events": "SELECT count(*) <> coalesce(max(event), 0) FROM labels",
    "a recording without its run": """
        SELECT EXISTS (SELECT run FROM steps EXCEPT SELECT run FROM runs)""",
    "an object twice or not at all": "SELECT (SELECT count(*) FROM catalog) <> (SELECT count(*) FROM objects)",
}


def main(folder: str, until: str) -> None:
    workspace, stop, reads, seen = Workspace.open(folder), Path(until), 0, []
    while not stop.exists():
        with workspace.reading() as con:
            con.begin()
            seen += [name for name, text in HALF_STEPS.items() if con.execute(text).fetchall()[0][0]]
        reads += 1
        time.sleep(0.3)
    print(json.dumps([reads, seen]))


if __name__ == "__main__":
    main(*sys.argv[1:])
