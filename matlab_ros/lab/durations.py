"""How long things take: learned from the attempts that succeeded, guessed before there are any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from matlab_ros.lab.goals import DispenseGoal, Goal, HeatGoal, HeatProfile, Outcome

_NS_PER_MIN = 60_000_000_000
_REMEMBERED = 31
"""Attempts of a kind at a device whose durations count; odd, so that the median is one of them."""

_COOLING_C_PER_MIN = 5.0
"""Of a furnace that nobody has seen cooling yet; a closed chamber furnace takes about this."""

GUESSES_NS: Mapping[str, int] = MappingProxyType(
    {
        "dispense": 15 * _NS_PER_MIN,
        "transfer": _NS_PER_MIN,
        "measure": 10 * _NS_PER_MIN,
        "analyse": _NS_PER_MIN // 2,
    }
)
"""Of attempts whose kind was never seen to succeed."""

_OTHERWISE_NS = 10 * _NS_PER_MIN


@dataclass
class Durations:
    """Durations of the latest successful attempts; of furnace runs, what they took beyond ramps
    and dwells."""

    _seen: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _medians: dict[tuple[str, str], int] = field(default_factory=dict)

    def note(self, device: str, goal: Goal, outcome: Outcome) -> None:
        """Take note of an attempt's end."""
        report = outcome.report
        spent = report.ended_ns - report.began_ns
        if not report.succeeded or report.recalled or spent <= 0:
            return
        if isinstance(goal, DispenseGoal) and not goal.doses:
            # Mixing alone takes what its recipe says, and tells nothing about weighing.
            return
        if isinstance(goal, HeatGoal):
            spent -= round(goal.profile.programmed_min() * _NS_PER_MIN)
        key = (goal.TAG, device)
        seen = self._seen.setdefault(key, [])
        seen.append(max(0, spent))
        del seen[:-_REMEMBERED]
        self._medians[key] = sorted(seen)[(len(seen) - 1) // 2]

    def of(self, tag: str, device: str) -> int:
        """Expected nanoseconds of an attempt that is no furnace run."""
        return self._medians.get((tag, device), GUESSES_NS.get(tag, _OTHERWISE_NS))

    def of_heat(self, device: str, profile: HeatProfile) -> int:
        """Expected nanoseconds of a furnace run with its cooling."""
        programmed = round(profile.programmed_min() * _NS_PER_MIN)
        learned = self._medians.get((HeatGoal.TAG, device))
        if learned is not None:
            return programmed + learned
        fall_c = max(0.0, profile.segments[-1].target_c - profile.unload_below_c)
        return programmed + round(fall_c / _COOLING_C_PER_MIN * _NS_PER_MIN)
