"""What a page shows of a running lab: values by section and key, and what changed since when.

Whoever listens to the lab puts values in; each page asks for what it has not seen yet. A page that
is slow or was away gets one merged change instead of many, so nothing queues up behind it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

Json = Any
Values = dict[str, dict[str, Json]]


@dataclass(frozen=True)
class Changes:
    """What is new.

    Attributes:
        version: to ask with the next time.
        values: by section and key; None where a key is gone.
    """

    version: int
    values: Values


class LiveValues:
    """Values by section and key, each with the version of its last change. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = 0
        self._values: OrderedDict[tuple[str, str], tuple[int, Json]] = OrderedDict()
        """In the order of their last change."""

    def put(self, section: str, key: str, value: Json) -> None:
        """Set a value that fits into JSON; the same again is no change."""
        place = (section, key)
        with self._lock:
            known = self._values.get(place)
            if known is not None and known[1] == value:
                return
            self._version += 1
            self._values[place] = (self._version, value)
            self._values.move_to_end(place)

    def put_all(self, section: str, values: dict[str, Json]) -> None:
        """Set a whole section; keys that are not named are gone."""
        for key, value in values.items():
            self.put(section, key, value)
        for key in self.keys(section) - set(values):
            self.put(section, key, None)

    def get(self, section: str, key: str) -> Json:
        """A value; None where there is none."""
        with self._lock:
            known = self._values.get((section, key))
        return None if known is None else known[1]

    def keys(self, section: str) -> set[str]:
        """Keys of a section that have a value."""
        with self._lock:
            return {
                key
                for (name, key), (_, value) in self._values.items()
                if name == section and value is not None
            }

    def changes(self, after: int = 0) -> Changes:
        """Everything that changed after a version; from 0: everything that is there."""
        found: Values = {}
        with self._lock:
            for (section, key), (version, value) in reversed(self._values.items()):
                if version <= after:
                    break
                if value is not None or after:
                    found.setdefault(section, {})[key] = value
            return Changes(self._version, found)
