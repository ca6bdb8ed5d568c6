"""Draw the packages of catbuilder and which imports which, from the imports in the code: docs/pictures/packages.svg.

Only what is needed is drawn: an arrow that a longer way of arrows already says is left out.
"""

import ast
from html import escape
from pathlib import Path

import catbuilder

PACKAGE = Path(catbuilder.__file__).parent
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 150, 44, 190, 92, 16  # px: of a box, from box to box, around all


def imports() -> dict[str, set[str]]:
    """The packages that each package imports."""
    found: dict[str, set[str]] = {init.parent.name: set() for init in PACKAGE.glob("*/__init__.py")}
    for name, imported in found.items():
        for file in (PACKAGE / name).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("catbuilder"):
                    parts = [*str(node.module).split(".")[1:], *(alias.name for alias in node.names)]
                    imported.update({parts[0]} & found.keys() - {name})
    return found


def reachable(graph: dict[str, set[str]], name: str) -> set[str]:
    """Every package below one."""
    return graph[name].union(*(reachable(graph, below) for below in graph[name]))


def draw() -> str:
    """The picture as SVG: what imports stands above what is imported."""
    graph = imports()
    needed = {
        name: {one for one in below if not any(one in reachable(graph, other) for other in below - {one})}
        for name, below in graph.items()
    }
    level: dict[str, int] = {}
    while len(level) < len(graph):  # as deep as its deepest import, and one more
        for name, below in graph.items():
            if below <= level.keys():
                level.setdefault(name, 1 + max((level[one] for one in below), default=-1))
    rows = [sorted(name for name in level if level[name] == n) for n in range(max(level.values()) + 1)]
    widest, top = max(map(len, rows)), len(rows) - 1
    place = {
        name: (MARGIN + ACROSS * (widest - 1) * (i / (len(row) - 1) if row[1:] else 0.5), MARGIN + DOWN * (top - n))
        for n, row in enumerate(rows)
        for i, name in enumerate(row)
    }
    return _svg(place, needed, MARGIN * 2 + ACROSS * widest, MARGIN * 2 + DOWN * top + HEIGHT)


def _svg(place: dict[str, tuple[float, float]], arrows: dict[str, set[str]], width: int, height: int) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="14">',
        "<title>The packages of catbuilder: each imports only those below it</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#555"/></marker></defs>',
    ]
    for name in sorted(arrows):
        for below in sorted(arrows[name]):
            (x1, y1), (x2, y2) = place[name], place[below]
            if x1 == x2 and y2 - y1 > DOWN:  # around what stands between
                way = f"M{x1 + WIDTH:g} {y1 + HEIGHT / 2:g}h{MARGIN}V{y2 + HEIGHT / 2:g}h{-MARGIN}"
            else:
                way = f"M{x1 + WIDTH / 2:g} {y1 + HEIGHT:g}L{x2 + WIDTH / 2:g} {y2:g}"
            parts.append(f'<path d="{way}" fill="none" stroke="#555" marker-end="url(#head)"/>')
    for name, (x, y) in sorted(place.items()):
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#e8eef7" stroke="#35538a"/>'
            f'<text x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 5:g}" text-anchor="middle">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
