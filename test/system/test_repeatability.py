"""Same seed, same campaign: a virtual campaign repeats itself exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from matlab_ros.lab.codec import to_json


def _history(campaign: Any) -> list[str]:
    """Every entry as one line; wall-clock times and the folder's place are left out."""
    return [
        f"{entry.sequence} {entry.ros_time_ns} {entry.event.TAG} "
        + re.sub(r'"file://[^"]*"', '"..."', to_json(entry.event))
        for entry in campaign.entries()
    ]


def test_two_campaigns_with_the_same_seed_have_the_same_history(
    finished: Any, start: Callable[..., Any]
) -> None:
    again = start()
    assert again.end() == 0, again.told()
    first, second = _history(finished.process), _history(again)
    for one, other in zip(first, second, strict=False):
        assert one == other
    assert len(first) == len(second)
