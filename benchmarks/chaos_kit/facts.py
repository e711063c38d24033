"""What physically happened, as the emulated instruments wrote it down, read for the checker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".facts.jsonl"
GRIPPER = "gripper"
FLOOR = "floor"


@dataclass(frozen=True)
class Fact:
    """One thing that happened.

    Attributes:
        number: order over all instruments.
        t: virtual seconds.
        instrument: whose log it is.
        what: happened.
        values: of the fact.
    """

    number: int
    t: float
    instrument: str
    what: str
    values: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]


def read_facts(folder: Path) -> list[Fact]:
    """All facts of a folder of logs, in the order in which they happened.

    Raises:
        FileNotFoundError: there is no log.
        ValueError: a line is no fact.
    """
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no log of an instrument")
    return in_order(fact for file in files for fact in _facts_of(file))


def in_order(facts: Iterable[Fact]) -> list[Fact]:
    """Facts in the order in which they happened."""
    return sorted(facts, key=lambda fact: fact.number)


def _facts_of(file: Path) -> Iterable[Fact]:
    instrument = file.name.removesuffix(SUFFIX)
    for line in file.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        number, t, what = values.pop("n"), values.pop("t"), values.pop("fact")
        yield Fact(number, t, instrument, what, values)
