"""What moves and when it ends is seen in one look: else time jumps beyond a motion's end."""

from __future__ import annotations

import threading

from matlab_ros.nodes.virtual_robot import VirtualRobotServers


def test_no_goal_begins_between_the_look_at_the_goals_and_the_look_at_their_end() -> None:
    servers = object.__new__(VirtualRobotServers)
    servers._lock = threading.RLock()
    servers._goals = {b"goal": object()}
    could_begin: list[bool] = []

    def begin() -> None:
        could_begin.append(servers._lock.acquire(blocking=False))

    class Robot:
        def next_moment(self) -> float:
            other = threading.Thread(target=begin)
            other.start()
            other.join(30.0)
            return 7.0

    servers._robot = Robot()
    assert servers.under_way() == ({b"goal"}, 7.0)
    assert could_begin == [False]
