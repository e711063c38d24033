"""What physically happened, written down by the emulated instruments themselves, each in its file.

No node and no driver writes here: whoever wants to know whether a lab's journal tells the truth
compares it with these files. One line of JSON is one fact: ``n`` (order over all instruments),
``t`` (virtual seconds), ``fact`` (what happened) and the fact's own values.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

FactValue = str | float | int | bool | list[float] | dict[str, float] | None

Tell = Callable[..., None]
"""Tells a fact: ``tell(t, fact, **values)``."""

SUFFIX = ".facts.jsonl"


class PhysicalLog:
    """The logs of all instruments of one virtual lab. Thread-safe.

    A line is with the operating system when `write` returns: it outlives this process, as what
    happened in a laboratory outlives the computer. Logs that exist are gone on with.

    Args:
        folder: of the files, made where missing; None: nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._files: dict[str, int] = {}
        self._numbers: Iterator[int] = itertools.count()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            lines = sum(len(path.read_bytes().splitlines()) for path in folder.glob(f"*{SUFFIX}"))
            self._numbers = itertools.count(lines)

    def write(self, instrument: str, t: float, fact: str, **values: FactValue) -> None:
        """Write one fact down.

        Args:
            instrument: whose file.
            t: virtual seconds.
            fact: what happened.
            values: of the fact.
        """
        if self._folder is None:
            return
        with self._lock:
            descriptor = self._files.get(instrument)
            if descriptor is None:
                path = self._folder / f"{instrument}{SUFFIX}"
                descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                self._files[instrument] = descriptor
            line = json.dumps({"n": next(self._numbers), "t": round(t, 6), "fact": fact, **values})
            os.write(descriptor, f"{line}\n".encode())

    def teller(self, instrument: str) -> Tell:
        """A function that writes facts of one instrument."""

        def tell(t: float, fact: str, **values: FactValue) -> None:
            self.write(instrument, t, fact, **values)

        return tell

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for descriptor in self._files.values():
                os.close(descriptor)
            self._files.clear()
            self._folder = None


def say_nothing(t: float, fact: str, **values: FactValue) -> None:
    """A `Tell` for instruments that nobody keeps a log of."""
