"""A hook of mkdocs: pages of the site that are not in docs/, and links that lead out of it.

README, changelog and the like stand at the top of the repository, where people and GitHub look for them; the notebook
is turned into a page as it stands, with the output that it holds. A link to a file of the repository that is no page
keeps its text and loses its target: the site is read where there is no repository.
"""

import posixpath
import re
from pathlib import Path

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "security.md": "SECURITY.md",
         "contributing.md": "CONTRIBUTING.md"}  # fmt: skip
NOTEBOOK = "notebooks/demo.ipynb"  # below docs/
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and the notebook's pictures."""
    for name, source in PAGES.items():
        files.append(File.generated(config, name, content=_moved_into_docs((ROOT / source).read_text())))
    notebook = nbformat.read(Path(config.docs_dir) / NOTEBOOK, as_version=4)
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    files.append(File.generated(config, "notebook.md", content=text))
    for name, picture in resources["outputs"].items():
        files.append(File.generated(config, name, content=picture))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Take the target from links to files that the site does not have."""
    names = {source: name for name, source in PAGES.items()}

    def kept(found: re.Match[str]) -> str:
        _, text, target = found.groups()
        path = target.partition("#")[0]
        if not path or ":" in path:
            return found[0]
        if path.startswith("../") and path[3:] in names:
            return f"[{text}]({names[path[3:]]})"
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), path))
        outside = place.startswith("../") or (page.file.src_uri in PAGES and (ROOT / place).exists())
        return text if outside and files.get_file_from_path(place) is None else found[0]

    return _LINK.sub(kept, markdown)


def _moved_into_docs(text: str) -> str:
    """A page from the top of the repository, with its links as they are from docs/."""
    names = {source: name for name, source in PAGES.items()}

    def moved(found: re.Match[str]) -> str:
        mark, words, target = found.groups()
        path, hash_sign, anchor = target.partition("#")
        path = names.get(path, path.removeprefix("docs/"))
        return f"{mark}[{words}]({path}{hash_sign}{anchor})"

    return _LINK.sub(moved, re.sub(r'(src|srcset)="docs/', r'\1="', text))
