"""The kinds of clock that ROS 2 has."""

from enum import IntEnum


class ClockType(IntEnum):
    """ROS time follows ``/clock`` where simulated, else the system's; steady time never jumps."""

    UNINITIALIZED = 0
    ROS_TIME = 1
    SYSTEM_TIME = 2
    STEADY_TIME = 3
