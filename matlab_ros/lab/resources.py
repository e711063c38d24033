"""What can be taken at this moment: devices, positions, and a device's second pair of hands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from matlab_ros.lab.goals import AnalyseGoal
from matlab_ros.lab.state import LabState
from matlab_ros.model.lab_words import PositionState

_ANALYSIS = "#analysis"


def analysis_of(device: str, overlaps: bool) -> str:
    """Resource that an analysis takes: the device, or its computer where that can do both."""
    return device + _ANALYSIS if overlaps else device


class Resources:
    """Who is taken, from one look at the attempts under way.

    Args:
        state: of the lab.
        is_usable: whether a device takes goals.
    """

    def __init__(self, state: LabState, is_usable: Callable[[str], bool]) -> None:
        self._state = state
        self._is_usable = is_usable
        self._taken: Counter[str] = Counter()
        for attempt in state.attempts.values():
            overlaps = state.floor.overlaps_analysis(attempt.device)
            is_analysis = isinstance(attempt.goal, AnalyseGoal)
            self._taken[analysis_of(attempt.device, is_analysis and overlaps)] += 1

    def is_free(self, resource: str) -> bool:
        """Whether a device or a position can be taken."""
        if resource in self._state.positions:
            return self._state.position_state(resource) is PositionState.EMPTY
        device = resource.removesuffix(_ANALYSIS)
        capacity = 1 if device == resource else self._state.floor.analyses_at_once(device)
        return self._is_usable(device) and self._taken[resource] < capacity
