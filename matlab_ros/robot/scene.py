"""Where things stand in the map, from the lab's configuration: positions, and bodies to keep off.

Stations are drawn from boxes along the map's axes. Containers are taken from above everywhere, so a
furnace is a hearth in a shallow chamber whose lid hangs behind it when it is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import (
    LabConfig,
    StationConfig,
    StationKind,
    position_names,
    position_point,
    position_points,
)
from matlab_ros.robot.mobile_arm import CRUCIBLE, MOBILE_ARM, ContainerShape, FloatArray
from matlab_ros.robot.poses import BasePose, Point

_BORDER_M = 0.05
"""Of a table, beyond its outermost positions."""
_SLAB_M = 0.04
_FOOT_ROOM_M = 0.08
"""Between the base and what of a station is as low as the base."""
_CHAMBER_M = 0.06
"""From a furnace's outermost positions to the walls of its chamber: room for open fingers."""
_WALL_M = 0.05
"""How thick and how high these walls are."""
_LID_M = 0.03
_CABINET_M = 0.15
"""From the outermost position of a dispenser or diffractometer back to its cabinet."""
_CABINET_HEIGHT_M = 0.30


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


@dataclass(frozen=True)
class Solid:
    """A box along the map's axes.

    Attributes:
        name: ``station/part``, such as ``furnace_1/lid``; the floor has none of a station.
        lower_m: its corner with the lowest coordinates.
        upper_m: its corner with the highest.
    """

    name: str
    lower_m: Point
    upper_m: Point

    @property
    def centre_m(self) -> Point:
        """Of the box."""
        x, y, z = ((a + b) / 2 for a, b in zip(self.lower_m, self.upper_m, strict=True))
        return x, y, z

    @property
    def size_m(self) -> Point:
        """Along the axes."""
        x, y, z = (b - a for a, b in zip(self.lower_m, self.upper_m, strict=True))
        return x, y, z


def station_solids(station: StationConfig, lid_open: bool = True) -> tuple[Solid, ...]:
    """What a station is built of, without containers.

    Args:
        station: where its positions are, and from where it is served.
        lid_open: of a furnace.
    """
    built = _Built(station)
    if station.kind is StationKind.FURNACE:
        return built.furnace(lid_open)
    if station.kind is StationKind.RACK:
        return built.table(_BORDER_M)
    return (*built.table(_BORDER_M), built.cabinet())


@dataclass(frozen=True)
class Hinge:
    """Of a furnace's lid: closed at 0, upright behind the chamber at a quarter turn.

    Attributes:
        point_m: on its axis, in the map.
        axis: a unit vector in the map.
    """

    point_m: Point
    axis: Point


def lid_hinge(station: StationConfig) -> Hinge:
    """Where the lid of a furnace turns."""
    return _Built(station).hinge()


class _Built:
    """Builds a station's solids in its own axes: across, and away from the base."""

    def __init__(self, station: StationConfig) -> None:
        self._name = station.name
        points = np.array([position_point(station, index) for index in range(station.grid.count)])
        self._top = float(points[0, 2])
        base = np.array(station.base_pose[:2])
        way = points[:, :2].mean(axis=0) - base
        self._depth = int(np.argmax(np.abs(way)))
        self._sign = 1.0 if way[self._depth] >= 0 else -1.0
        away = self._sign * points[:, self._depth]
        self._near, self._far = float(away.min()), float(away.max())
        across = points[:, 1 - self._depth]
        self._left, self._right = float(across.min()), float(across.max())
        heading = BasePose(*station.base_pose).matrix()[:2, :2]
        half = float(np.abs(heading[self._depth]) @ (np.array(MOBILE_ARM.base_size_m) / 2))
        self._foot = self._sign * float(base[self._depth]) + half + _FOOT_ROOM_M

    def _box(self, part: str, across: _Range, away: _Range, height: _Range) -> Solid:
        corners = np.zeros((2, 3))
        corners[:, 1 - self._depth] = across
        corners[:, self._depth] = np.sort(self._sign * np.array(away))
        corners[:, 2] = height
        lower, upper = (tuple(float(value) for value in corner) for corner in corners)
        return Solid(f"{self._name}/{part}", _point(lower), _point(upper))

    def _extents(self, border: float) -> tuple[_Range, _Range]:
        return (
            (self._left - border, self._right + border),
            (self._near - border, self._far + border),
        )

    def table(self, border: float) -> tuple[Solid, ...]:
        """A slab under the positions, and what carries it out of the base's way."""
        across, away = self._extents(border)
        near = max(away[0], self._foot)
        body_away = (near, max(away[1], near + 0.10))
        return (
            self._box("table", across, away, (self._top - _SLAB_M, self._top)),
            self._box("body", across, body_away, (0.0, self._top - _SLAB_M)),
        )

    def cabinet(self) -> Solid:
        """Of an instrument, behind its positions."""
        begin = self._far + _CABINET_M
        across, _ = self._extents(0.20)
        return self._box(
            "cabinet", across, (begin, begin + 0.20), (0.0, self._top + _CABINET_HEIGHT_M)
        )

    def furnace(self, lid_open: bool) -> tuple[Solid, ...]:
        """Hearth, chamber, lid."""
        inner_across, inner_away = self._extents(_CHAMBER_M)
        across, away = self._extents(_CHAMBER_M + _WALL_M)
        wall = (self._top, self._top + _WALL_M)
        lid_height = (wall[1], wall[1] + _LID_M)
        lid_away = away
        if lid_open:
            lid_away = (away[1], away[1] + _LID_M)
            lid_height = (wall[1], wall[1] + away[1] - away[0])
        return (
            *self.table(_CHAMBER_M + _WALL_M),
            self._box("front wall", across, (away[0], inner_away[0]), wall),
            self._box("back wall", across, (inner_away[1], away[1]), wall),
            self._box("left wall", (across[0], inner_across[0]), inner_away, wall),
            self._box("right wall", (inner_across[1], across[1]), inner_away, wall),
            self._box("lid", across, lid_away, lid_height),
        )

    def hinge(self) -> Hinge:
        """At the upper edge of the chamber's back wall."""
        _, away = self._extents(_CHAMBER_M + _WALL_M)
        point, axis = np.zeros(3), np.zeros(3)
        point[1 - self._depth] = (self._left + self._right) / 2
        point[self._depth] = self._sign * away[1]
        point[2] = self._top + _WALL_M
        axis[1 - self._depth] = self._sign * (1.0 if self._depth == 0 else -1.0)
        return Hinge(_point(float(v) for v in point), _point(float(v) for v in axis))


_Range = tuple[float, float]


def _point(values: Iterable[float]) -> Point:
    x, y, z = values
    return x, y, z


def container_solid(position: str, point_m: Point, container: ContainerShape = CRUCIBLE) -> Solid:
    """The box around a container that stands at a position."""
    x, y, z = point_m
    radius = container.diameter_m / 2
    return Solid(
        f"the container at {position}",
        (x - radius, y - radius, z),
        (x + radius, y + radius, z + container.height_m),
    )


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything of a lab that the robot could hit, with a container at every position.

    Attributes:
        names: of the solids.
        lower_m: their lowest corners, shape (n, 3).
        upper_m: their highest corners, shape (n, 3).
        container_at: index of the solid that is the container of each position.
    """

    names: tuple[str, ...]
    lower_m: FloatArray
    upper_m: FloatArray
    container_at: Mapping[str, int]

    def position_at(self, point_m: FloatArray, within_m: float) -> str | None:
        """The position whose container's middle is nearest to a point, shape (3,), in the map."""
        names = tuple(self.container_at)
        solids = list(self.container_at.values())
        middles = (self.lower_m[solids] + self.upper_m[solids]) / 2
        distances = np.linalg.norm(middles - point_m, axis=1)
        nearest = int(np.argmin(distances))
        return names[nearest] if distances[nearest] <= within_m else None


@lru_cache(maxsize=32)
def scene_of(
    stations: tuple[StationConfig, ...],
    closed_lids: frozenset[str] = frozenset(),
    container: ContainerShape = CRUCIBLE,
) -> Scene:
    """The scene of a lab's stations.

    Who plans does not know which positions are empty, and keeps off a container at each.

    Args:
        stations: of the lab.
        closed_lids: names of the furnaces that are closed.
        container: that may stand at every position.
    """
    solids = [Solid("the floor", (-60.0, -60.0, -0.1), (60.0, 60.0, 0.0))]
    for station in stations:
        solids += station_solids(station, station.name not in closed_lids)
    container_at = {}
    for station in stations:
        for index, position in enumerate(position_names(station)):
            container_at[position] = len(solids)
            solids.append(container_solid(position, position_point(station, index), container))
    return Scene(
        tuple(solid.name for solid in solids),
        np.array([solid.lower_m for solid in solids]),
        np.array([solid.upper_m for solid in solids]),
        container_at,
    )
