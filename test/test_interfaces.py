"""Interfaces hold typed fields; nodes never wait in a way that can lock them up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "matlab_ros_interfaces").glob("*/*.*"))
FILES = [path for path in FILES if path.suffix in (".msg", ".srv", ".action")]
_STRING_FIELD = re.compile(r"^\s*string(?:<=\d+)?(?:\[[^\]]*\])?\s+(\w+)(?!\s*=)", re.MULTILINE)
_PACKED = re.compile(r"json|yaml|xml|dict|kwargs|params|config|payload|blob|data$")
_QUANTITY = re.compile(
    r"(_s|_min|_h|_ms|_mg|_g|_c|_m|duration|timeout|time|seconds|stamp|deadline|mass|temperature)$"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_text_field_holds_what_a_typed_field_could(path: Path) -> None:
    for name in _STRING_FIELD.findall(path.read_text()):
        assert not _PACKED.search(name), f"{name} of {path.name} sounds like packed values"
        assert not _QUANTITY.search(name), f"{name} of {path.name} is a quantity in words"


def test_no_node_spins_inside_a_callback() -> None:
    for path in sorted((ROOT / "matlab_ros").rglob("*.py")):
        text = path.read_text()
        assert "spin_until_future_complete" not in text, path
        assert "spin_once" not in text, path


def test_nothing_of_the_lab_sleeps() -> None:
    # Drivers may: silence between frames on a wire is part of their protocols.
    for room in ("model", "lab", "planning", "nodes", "xrd", "robot", "chemistry"):
        for path in sorted((ROOT / "matlab_ros" / room).rglob("*.py")):
            assert not re.search(r"\btime\.sleep\(", path.read_text()), path
