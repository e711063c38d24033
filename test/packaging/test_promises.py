"""The tests that docs/promises.md names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs/promises.md"


def named() -> list[tuple[str, str]]:
    """File and function of each test that the page names; a function without a file is one of the
    file named last in its line."""
    found = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        file = ""
        for path, function in re.findall(r"`([\w/.]*\.py)?(?:::(\w+))?`", line):
            file = path or file
            if path or function:
                found.append((file, function))
    return found


def test_the_page_names_tests():
    assert len(named()) > 20


@pytest.mark.parametrize(("file", "function"), named(), ids=lambda word: word.rpartition("/")[2])
def test_a_test_that_the_page_names_exists(file: str, function: str) -> None:
    path = REPOSITORY / file
    assert path.is_file(), f"{PAGE.name} names {file}"
    if function:
        text = path.read_text(encoding="utf-8")
        assert re.search(rf"def {function}\(", text), f"{PAGE.name} names {file}::{function}"
