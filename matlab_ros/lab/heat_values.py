"""What a plan of furnace runs is made from, and what it consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Group = tuple[Any, ...]
"""What makes samples heatable together: comparable, equal for equal profiles of one step."""


@dataclass(frozen=True)
class Visit:
    """A furnace run that a sample is expected to need after another one.

    Attributes:
        gap_ns: from the other run's end to when it is ready for this one, at least.
        group: of this one.
    """

    gap_ns: int
    group: Group


@dataclass(frozen=True)
class Furnace:
    """A furnace as it will be.

    Attributes:
        station: its name.
        slots: positions that can be used.
        free_ns: when it can be loaded.
        group: of the crucibles that wait in it, or are on their way to it.
        held: number of those.
        later: of those that hold it, the runs that are expected to follow; others have none.
    """

    station: str
    slots: int
    free_ns: int
    group: Group | None = None
    held: int = 0
    later: tuple[tuple[Visit, ...], ...] = ()


@dataclass(frozen=True)
class Arrival:
    """A sample that is or will be ready for a furnace, and the runs that are expected to follow."""

    ready_ns: int
    group: Group
    later: tuple[Visit, ...] = ()


@dataclass(frozen=True)
class Batch:
    """A furnace run to come."""

    station: str
    group: Group
    size: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Outlook:
    """What a plan needs to know beside furnaces and arrivals.

    Attributes:
        now_ns: ROS time.
        duration_ns: of each group's run with its cooling.
        fits: stations whose furnaces can heat each group.
        carry_ns: for one crucible into or out of a furnace.
        follow_ns: what each sample then takes of the station that follows, which serves one sample
            at a time.
        more: samples of each group that come after the arrivals; none where it is missing.
        rest_ns: furnace time that a sample of each group may need after this run, at most.
        together: groups that a planner placed into one run, because a run costs more than waiting.
    """

    now_ns: int
    duration_ns: Mapping[Group, int]
    fits: Mapping[Group, frozenset[str]]
    carry_ns: int
    follow_ns: int
    more: Mapping[Group, int] = field(default_factory=dict)
    rest_ns: Mapping[Group, int] = field(default_factory=dict)
    together: frozenset[Group] = frozenset()


@dataclass(frozen=True)
class Cut:
    """Sizes of a group's batches."""

    first: int
    others: int
