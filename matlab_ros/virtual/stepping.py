"""When virtual time may jump, and to which moment: decided from what everybody says of himself.

Time may pass only while nothing is on its way. The lab manager says which attempts are under way
and that it can do nothing before one of them ends; each device says of each attempt until when it
waits. Two views that do not agree (an attempt which the lab manager counts and its device does not
list, or a moment that has come and whose owner has not spoken since) mean that somebody is about
to act, and the clock is held. Nothing is concluded from silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass


@dataclass(frozen=True)
class AttemptView:
    """What a device says about one attempt.

    Attributes:
        attempt_id: of the attempt.
        waiting: nothing changes before `waits_until_ns` unless an awaited goal ends.
        waits_until_ns: when the device looks again.
        awaited_goals: ids of goals with other servers it waits for.
    """

    attempt_id: str
    waiting: bool
    waits_until_ns: int
    awaited_goals: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class LabView:
    """What the lab manager says about itself.

    Attributes:
        quiescent: it can do nothing until an attempt ends or `wakes_at_ns` comes.
        in_flight: pairs (attempt id, device).
        wakes_at_ns: when it acts by itself next, 0 for never.
    """

    quiescent: bool
    in_flight: tuple[tuple[str, str], ...]
    wakes_at_ns: int = 0


def next_moment(
    now_ns: int,
    lab: LabView | None,
    devices: Mapping[str, Iterable[AttemptView]],
    held_goals: Set[bytes],
    robot_moment_ns: int | None,
) -> int | None:
    """The moment to which the clock may jump, or None while it must be held.

    Args:
        now_ns: virtual time now.
        lab: the lab manager's last word, None before the first.
        devices: each device's last word.
        held_goals: goals of the virtual robot that have not ended.
        robot_moment_ns: when the virtual robot's next goal ends.

    Returns:
        Nanoseconds after `now_ns`, or None.
    """
    if lab is None or not lab.quiescent:
        return None
    listed = {name: {view.attempt_id for view in views} for name, views in devices.items()}
    for attempt_id, device in lab.in_flight:
        if attempt_id not in listed.get(device, set()):
            return None
    moments = [lab.wakes_at_ns] if lab.wakes_at_ns else []
    under_way = False
    for views in devices.values():
        for view in views:
            under_way = True
            if not view.waiting or any(goal not in held_goals for goal in view.awaited_goals):
                return None
            moments.append(view.waits_until_ns)
    if under_way and robot_moment_ns is not None:
        moments.append(robot_moment_ns)
    if not moments or min(moments) <= now_ns:
        return None
    return min(moments)
