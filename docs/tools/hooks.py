"""Beside turning pages to HTML `mkdocs build` writes the reference and takes in linked files.

The reference is written from the code each time, so it cannot go stale. Pages link files of the
repository, such as `../benchmarks/results/chaos.md`; those that are text become pages under
`repository/`, so that the site has no dead links.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from command_line import command_line_page
from files import files_page
from interfaces import error_codes_page, interfaces_page
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from states import states_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TAKEN_IN = "repository"
GENERATED: dict[str, Callable[[], str]] = {
    "reference/command_line.md": command_line_page,
    "reference/error_codes.md": error_codes_page,
    "reference/files.md": files_page,
    "reference/interfaces.md": interfaces_page,
    "reference/states.md": states_page,
}
_LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the written pages and the files that pages link."""
    for uri, write in GENERATED.items():
        files.append(File.generated(config, uri, content=write()))
    for uri in sorted(_linked_outside()):
        files.append(File.generated(config, f"{TAKEN_IN}/{uri}", abs_src_path=str(ROOT / uri)))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Lead links out of docs/ to the pages that were made of those files."""
    here = posixpath.dirname(page.file.src_uri)
    is_taken_in = here.split("/")[0] == TAKEN_IN

    def lead(match: re.Match[str]) -> str:
        link, anchor = match.group(1), match.group(2) or ""
        if is_taken_in:
            return match.group(0) if _known(files, here, link) else "]"
        target = _outside(here, link)
        if target is None:
            return match.group(0)
        new = posixpath.relpath(f"{TAKEN_IN}/{target}", here or ".")
        return f"]({new}{anchor})"

    return _LINK.sub(lead, markdown)


def _known(files: Files, here: str, link: str) -> bool:
    return files.get_file_from_path(posixpath.normpath(posixpath.join(here, link))) is not None


def _linked_outside() -> set[str]:
    """Files of the repository outside docs/ that pages link."""
    found = set()
    for path in DOCS.rglob("*.md"):
        here = path.parent.relative_to(DOCS).as_posix()
        for match in _LINK.finditer(path.read_text(encoding="utf-8")):
            target = _outside("" if here == "." else here, match.group(1))
            if target is not None:
                found.add(target)
    return found


def _outside(here: str, link: str) -> str | None:
    """The Markdown file outside docs/ that a link from a page means, from the repository's root."""
    target = posixpath.normpath(posixpath.join("docs", here, link))
    if target.startswith(("docs/", "../")) or not target.endswith(".md"):
        return None
    return target if (ROOT / target).is_file() else None
