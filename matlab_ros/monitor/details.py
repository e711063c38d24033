"""What the journal knows beyond the graph: recipes as carried out, patterns, fits, bars of time."""

from __future__ import annotations

import dataclasses
import math
import threading
from enum import Enum
from typing import Any

from matlab_ros.lab import events as ev
from matlab_ros.lab.journal import JournalReader
from matlab_ros.model.errors import LabError
from matlab_ros.monitor import page_data
from matlab_ros.monitor.from_journal import CampaignReader

MOST_BARS = 600
"""Bars of the chart of stations: the last ones."""

_POINTS = 3000


class CampaignDetails:
    """Follows the journal of a lab; the last campaign counts. Callable from several threads.

    Args:
        journal_url: of a journal that this machine can read.

    Raises:
        JournalError: it cannot.
    """

    def __init__(self, journal_url: str) -> None:
        self._journal = JournalReader(journal_url)
        self._lock = threading.Lock()
        self._after = 0
        self._reader: CampaignReader | None = None

    def experiment(self, name: str) -> dict[str, Any] | None:
        """One experiment with everything that is drawn of it; None where there is none."""
        with self._lock:
            self._follow()
            found = None if self._reader is None else self._reader.experiment(name)
        if found is None:
            return None
        drawn = page_data.details(found, _POINTS)
        bare = dataclasses.replace(found, pattern=None)
        if bare.heating is not None:
            heating = dataclasses.replace(bare.heating, elapsed_s=(), measured_c=(), setpoint_c=())
            bare = dataclasses.replace(bare, heating=heating)
        return {**_plain(dataclasses.asdict(bare)), **drawn}

    def chart(self) -> Any:
        """Bars of the stations, as `page_data` draws them; None before a campaign."""
        with self._lock:
            self._follow()
            return None if self._reader is None else page_data.chart(self._reader.chart(MOST_BARS))

    def parameters(self) -> list[dict[str, Any]]:
        """The search space, for axes; empty before a campaign."""
        with self._lock:
            self._follow()
            return (
                []
                if self._reader is None
                else [_plain(dataclasses.asdict(p)) for p in self._reader.parameters()]
            )

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _follow(self) -> None:
        for entry in self._journal.read(self._after):
            self._after = entry.sequence
            if isinstance(entry.event, ev.CampaignStarted):
                self._reader = CampaignReader(entry, entry.event.plan)
            elif self._reader is not None:
                self._reader.take(entry)


def _plain(value: Any) -> Any:
    """What fits into JSON: words for enumerations, nothing for what is no number."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def without_journal(reason: str) -> LabError:
    """Why there are no details."""
    return LabError(
        f"Recipe and pattern are in the journal, which this machine cannot read: {reason} Run the "
        "page where the lab manager runs, or name the journal with --journal."
    )
