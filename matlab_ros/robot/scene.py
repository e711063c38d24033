"""Where things stand in the map, from the lab's configuration."""

from __future__ import annotations

from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import LabConfig, StationConfig, position_names, position_points
from matlab_ros.robot.mobile_arm import CRUCIBLE, ContainerShape
from matlab_ros.robot.poses import BasePose, Point


class UnknownPosition(LabError):
    """A position that the lab does not have.

    Attributes:
        position: the name that was asked for.
    """

    def __init__(self, position: str) -> None:
        self.position = position
        super().__init__(
            f"The lab has no position {position!r}; give one such as 'rack/1' of its configuration."
        )


def base_pose(station: StationConfig) -> BasePose:
    """Where the base stands to serve a station."""
    return BasePose(*station.base_pose)


def grasp_points(lab: LabConfig, container: ContainerShape = CRUCIBLE) -> dict[str, Point]:
    """Where the finger tips meet to hold a container that stands at each position; map, metres."""
    return {
        name: (x, y, z + container.grasp_height_m)
        for name, (x, y, z) in position_points(lab).items()
    }


def station_of(lab: LabConfig, position: str) -> StationConfig:
    """The station that a position belongs to.

    Raises:
        UnknownPosition: there is no such position.
    """
    for station in lab.stations:
        if position in position_names(station):
            return station
    raise UnknownPosition(position)
