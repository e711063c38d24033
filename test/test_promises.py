"""Every test that `docs/promises.md` names is there."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_NAMED = re.compile(r"`(test/[\w/]+\.py)?(?:::(\w+))?`")


def test_every_test_that_the_promises_name_is_there() -> None:
    count = 0
    for line in (REPOSITORY / "docs/promises.md").read_text().splitlines():
        file = ""
        for named in _NAMED.finditer(line):
            file, name = named[1] or file, named[2]
            if not file:
                continue
            count += 1
            text = (REPOSITORY / file).read_text()
            assert name is None or f"def {name}(" in text, f"{file}::{name}"
    assert count > 40
