"""Makes the documentation's site whole: a hook of MkDocs, named in mkdocs.yml.

README.md becomes the home page, and the other pages of the root folder and the notebook become
pages beside those of docs/, with links that fit. Pages that nav does not list come at its end, so
that a new file of docs/ is found without a change of mkdocs.yml; lines of nav whose page does not
exist (yet) are left out.

MkDocs is imported where it is used: the rest runs, and is tested, without it.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "WORKSPACE.md": "workspace.md",
}
"""A file of the root folder -> the page that it becomes."""

ROOT_FILES = ("CITATION.cff", "LICENSE")
"""Files of the root folder that pages link to."""

_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")


def page_text(text: str) -> str:
    """Markdown of a root file as a page of docs/: links lose docs/, and pages have their names."""

    def moved(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        target = ROOT_PAGES.get(target, target).removeprefix("docs/")
        return target.replace(".ipynb", ".md") + anchor

    return _LINK.sub(moved, text)


def notebook_text(notebook: Mapping[str, Any]) -> str:
    """A notebook as Markdown: text, code, and below each code its outputs, pictures inlined."""
    parts = []
    for cell in notebook["cells"]:
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code":
            parts.append(f"```python\n{source}\n```")
            parts += filter(None, map(_output, cell["outputs"]))
    return "\n\n".join(parts) + "\n"


def _output(output: Mapping[str, Any]) -> str:
    """What a cell printed, drew or gave back; "" for what a page cannot show."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = _joined(data["image/png"]).replace("\n", "")
        return f'<img alt="what the code above draws" src="data:image/png;base64,{picture}">'
    text = _joined(output.get("text", data.get("text/plain", ""))).rstrip()
    return f'<pre class="output">{html.escape(text)}</pre>' if text else ""


def _joined(text: str | Sequence[str]) -> str:
    """A notebook's text, which may be a list of lines."""
    return text if isinstance(text, str) else "".join(text)


def whole_nav(nav: Sequence[Any], pages: Sequence[str]) -> list[Any]:
    """`nav` without the pages that do not exist, and with those that it lacks at its end.

    Args:
        nav: as in mkdocs.yml: pages, {title: page}, or {title: list of the same}.
        pages: every page of the site.
    """
    listed: set[str] = set()

    def existing(items: Sequence[Any]) -> list[Any]:
        found: list[Any] = []
        for item in items:
            title, value = next(iter(item.items())) if isinstance(item, Mapping) else ("", item)
            if isinstance(value, list):
                inside = existing(value)
                found += [{title: inside}] if inside else []
            elif value in pages:
                listed.add(value)
                found.append(item)
        return found

    whole = existing(nav)
    missing = sorted(set(pages) - listed)
    return [*whole, {"More": missing}] if missing else whole


def made_pages(root: Path) -> dict[str, str]:
    """Page -> Markdown, of all that is not a page of docs/ already."""
    found = {page: page_text((root / file).read_text("utf-8")) for file, page in ROOT_PAGES.items()}
    for notebook in sorted((root / "docs").glob("*.ipynb")):
        cells = json.loads(notebook.read_text("utf-8"))
        found[f"{notebook.stem}.md"] = notebook_text(cells)
    return found


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """Lists every page in nav; MkDocs calls this first."""
    root = Path(config.config_file_path).parent
    own = [path.relative_to(config.docs_dir).as_posix() for path in _pages(Path(config.docs_dir))]
    config.nav = whole_nav(config.nav or [], [*own, *made_pages(root)])
    return config


def _pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.md"))


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Adds the pages that are made; MkDocs calls this with those of docs/."""
    from mkdocs.structure.files import File

    root = Path(config.config_file_path).parent
    for page, text in made_pages(root).items():
        files.append(File.generated(config, page, content=text))
    for name in ROOT_FILES:
        files.append(File.generated(config, name, abs_src_path=str(root / name)))
    return files
