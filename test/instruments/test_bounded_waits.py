"""No call of a driver keeps its caller longer than its stated bound, whatever the wire does."""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import matlab_ros.instruments
from matlab_ros.instruments.registry import KINDS
from matlab_ros.instruments.transport import unreachable
from matlab_ros.model.errors import LabError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from fuzz_kit.targets import CALLS, NEEDS, WORDS  # noqa: E402

DEADLINE_S = 1.0
SLEEPS = {
    "transport.py": "a poll of a serial port on Windows, within the deadline of the answer",
    "traffic.py": "a replay, as long as the real wire would have kept silent",
    "modbus.py": "the silence before a frame, 3.5 characters",
    "eurotherm.py": "until the programmer shows what it was told, obeys_within_s at most",
}
"""Files of drivers that sleep, and for how long."""
MOST_DEADLINES = 8.0
"""What one call takes at most, in deadlines of one answer; docs/instruments.md says so."""


class Clock:
    """Steady time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now_s += seconds


class Wire:
    """Says the same again and again, after so long; or nothing, ever."""

    name = "nowhere:1"
    silence_s = 0.005

    def __init__(self, clock: Clock, says: bytes, after_s: float, breaks: bool) -> None:
        self._clock, self._says, self._after_s, self._breaks = clock, says, after_s, breaks
        self.is_open, self.ended = True, False

    def open(self) -> None:
        if self._breaks:
            self._clock.sleep(DEADLINE_S)
            raise unreachable(self.name, "broken")
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def write(self, data: bytes) -> None: ...

    def read(self, wait_s: float) -> bytes:
        says = self._says if self._after_s <= wait_s else b""
        self._clock.sleep(self._after_s if says else wait_s)
        return says

    def discard_input(self) -> None: ...


WAYS: Sequence[tuple[bytes, float, bool]] = [
    (b"", 0.0, False),
    (b"", 0.0, True),
    (b"\x00", 0.9, False),
    (b"\r\n", 0.3, False),
    *((word, 0.1, False) for word in WORDS),
]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, drivers in KINDS.items() for name in drivers]
)
def test_a_call_ends_within_its_bound(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    fake = SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep)
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("matlab_ros.instruments.") and hasattr(module, "time"):
            monkeypatch.setattr(module, "time", fake)
    driver = KINDS[kind][name]
    longest: dict[int, float] = {}
    for says, after_s, breaks in WAYS:
        for number, call in enumerate(CALLS[kind]):
            wire: Any = Wire(clock, says, after_s, breaks)
            made = driver.make(wire, *NEEDS.get(kind, ()), deadline_s=DEADLINE_S)
            since = clock.now_s
            with contextlib.suppress(LabError):
                call(made)
            longest[number] = max(longest.get(number, 0.0), clock.now_s - since)
    assert max(longest.values()) <= MOST_DEADLINES * DEADLINE_S, longest


def test_who_sleeps_is_known() -> None:
    folder = Path(matlab_ros.instruments.__file__).parent
    sleeping = {
        path.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) == ("time", "sleep")
    }
    assert sleeping == set(SLEEPS)
