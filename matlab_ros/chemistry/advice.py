"""What an adviser says about a target: sets of stocked powders with a temperature, and why.

An adviser chooses among the sets that balance and that no rule refuses; it can bring in nothing
else. What it says is a proposal that a person reads and accepts, never a step that runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from matlab_ros.chemistry.precursor_sets import PrecursorSet

LONGEST_TEXT = 300
"""Characters that are kept of what an adviser writes."""


@dataclass(frozen=True)
class Bounds:
    """What a lab's furnaces can do.

    Attributes:
        max_temperature_c: highest set point.
        min_temperature_c: lowest that makes sense.
        max_dwell_h: longest dwell that anybody waits for.
    """

    max_temperature_c: float
    min_temperature_c: float = 100.0
    max_dwell_h: float = 200.0

    def problem(self, temperature_c: float, dwell_h: float | None) -> str:
        """What is wrong with a heat treatment, in words; empty if nothing."""
        if not math.isfinite(temperature_c):
            return "its temperature is no number"
        if not self.min_temperature_c <= temperature_c <= self.max_temperature_c:
            return (
                f"{temperature_c:g} C is outside {self.min_temperature_c:g} to "
                f"{self.max_temperature_c:g} C, which the furnaces do"
            )
        if dwell_h is not None and not 0 < dwell_h <= self.max_dwell_h:
            return f"a dwell of {dwell_h:g} h is not within 0 to {self.max_dwell_h:g} h"
        return ""


@dataclass(frozen=True)
class Advice:
    """One proposal.

    Attributes:
        candidate: a set that is allowed.
        temperature_c: proposed for its synthesis.
        dwell_h: at that temperature; None where the adviser does not say.
        because: reason in words.
        source: who says so.
        weight: how much it is to be trusted against others of the same adviser; higher is better.
    """

    candidate: PrecursorSet
    temperature_c: float
    dwell_h: float | None
    because: str
    source: str
    weight: float = 1.0


@dataclass(frozen=True)
class Advised:
    """What an adviser said.

    Attributes:
        advice: valid proposals, best first.
        rejected: proposals that were thrown away, each with the reason, in words.
    """

    advice: tuple[Advice, ...]
    rejected: tuple[str, ...] = ()


class Adviser(Protocol):
    """Somebody who knows how things are made."""

    @property
    def name(self) -> str:
        """Who it is."""
        ...

    def advise(self, target: str, candidates: Sequence[PrecursorSet], bounds: Bounds) -> Advised:
        """Proposals for a target.

        Args:
            target: formula.
            candidates: every set that balances, those refused among them.
            bounds: of the furnaces.

        Raises:
            LabError: it cannot be asked.
        """
        ...


def plain(text: str, longest: int = LONGEST_TEXT) -> str:
    """Foreign words as one line without control characters, so that they can be shown anywhere."""
    visible = "".join(c if c.isprintable() else " " for c in text[: 4 * longest])
    line = " ".join(visible.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
