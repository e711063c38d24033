"""Python and shell blocks of pages, and the notebooks that are made of pages.

    python docs/tools/blocks.py

writes docs/tutorial.ipynb and docs/ten_lines.ipynb from the pages of the same names.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

DOCS = Path(__file__).parents[1]
NOTEBOOKS = ("tutorial", "ten_lines")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ITSELF = re.compile(
    r"(?:, or open the same as a notebook|\nAs a notebook): \[\w+\.ipynb\]\(\w+\.ipynb\)"
)
_PICTURE = re.compile(r"^!\[.*?\]\(.*?\)\n", re.MULTILINE)
_PAGE = re.compile(r"\]\(([\w/]+)\.md(#[^)]*)?\)")


def python_blocks(page: str) -> list[str]:
    """Python of a page, block by block."""
    return [text for kind, text in _BLOCK.findall(page) if kind == "python"]


def notebook(page: str) -> str:
    """A notebook of a page: its Python as cells to run, everything between as text."""
    page = _PICTURE.sub("", _ITSELF.sub("", page))
    page = _PAGE.sub(r"](\1.html\2)", page)
    cells = []
    end = 0
    for match in _BLOCK.finditer(page):
        if match.group(1) != "python":
            continue
        cells += _text(page[end : match.start()])
        cells.append(
            {
                "cell_type": "code",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": _lines(match.group(2)),
            }
        )
        end = match.end()
    cells += _text(page[end:])
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    document = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _text(text: str) -> list[dict[str, object]]:
    if not text.strip():
        return []
    return [{"cell_type": "markdown", "metadata": {}, "source": _lines(text)}]


def _lines(text: str) -> list[str]:
    return text.strip("\n").splitlines(keepends=True)


def main() -> None:
    """Write all notebooks."""
    for name in NOTEBOOKS:
        page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
        (DOCS / f"{name}.ipynb").write_text(notebook(page), encoding="utf-8")


if __name__ == "__main__":
    main()
