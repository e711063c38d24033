"""The lab as markers: stations, containers coloured by their samples' states, words beside them.

Namespaces are `station`, `sample` and `label`; ids stay the same as long as the lab's file does, so
a viewer replaces what it has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from geometry_msgs.msg import Point, Pose, Quaternion, TransformStamped, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from matlab_ros.model.lab_config import (
    LabConfig,
    StationKind,
    position_frame,
    position_points,
)
from matlab_ros.robot.mobile_arm import CRUCIBLE
from matlab_ros.robot.plan import is_gripper
from matlab_ros.robot.scene import Solid, station_solids
from matlab_ros_interfaces import msg

Colour = tuple[float, float, float, float]

_STATIONS: Mapping[StationKind, Colour] = {
    StationKind.RACK: (0.80, 0.82, 0.84, 1.0),
    StationKind.FURNACE: (0.35, 0.33, 0.32, 1.0),
    StationKind.DISPENSER: (0.25, 0.45, 0.70, 1.0),
    StationKind.DIFFRACTOMETER: (0.30, 0.55, 0.45, 1.0),
}
_SAMPLES: Mapping[int, Colour] = {
    msg.SampleState.PLANNED: (0.60, 0.75, 0.95, 1.0),
    msg.SampleState.ACTIVE: (0.20, 0.55, 0.95, 1.0),
    msg.SampleState.AT_REST: (0.95, 0.80, 0.25, 1.0),
    msg.SampleState.COMPROMISED: (0.95, 0.45, 0.10, 1.0),
    msg.SampleState.LOST: (0.90, 0.10, 0.10, 1.0),
    msg.SampleState.DONE: (0.25, 0.75, 0.35, 1.0),
    msg.SampleState.DISPOSED: (0.45, 0.45, 0.45, 1.0),
}
_EMPTY: Colour = (0.95, 0.94, 0.90, 1.0)
_UNKNOWN: Colour = (0.85, 0.30, 0.85, 0.6)
_WHITE: Colour = (1.0, 1.0, 1.0, 1.0)
_FAULT: Colour = (1.0, 0.25, 0.20, 1.0)
_PATH: Colour = (0.15, 0.85, 0.85, 0.8)
_HOT_C = 1200.0
_COLD_C = 50.0
_STATION_TEXT_M, _SAMPLE_TEXT_M = 0.09, 0.022
_STATION_IDS = 100
"""Ids of one station's solids and words begin a hundred after those of the one before."""


@dataclass
class Seen:
    """What is known of the lab besides its file.

    Attributes:
        positions: by name, as the lab manager says them.
        samples: by the container they are in.
        faults: those that nobody decided yet.
        celsius: of each furnace, by its device's name.
        path: points that the tool will come by, in the map.
    """

    positions: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, Any] = field(default_factory=dict)
    faults: Sequence[Any] = ()
    celsius: Mapping[str, float] = field(default_factory=dict)
    path: Sequence[tuple[float, float, float]] = ()


class LabMarkers:
    """Draws a lab; remembers what was drawn, to take away what is gone.

    Args:
        lab: its stations and positions.
        frame: of the map.
        tool_frame: of what the gripper holds.
    """

    def __init__(self, lab: LabConfig, frame: str = "map", tool_frame: str = "tool") -> None:
        self._lab, self._frame, self._tool = lab, frame, tool_frame
        self._points = position_points(lab)
        self._numbers = {name: i for i, name in enumerate(lab.container_homes())}
        self._place_numbers = {name: i for i, name in enumerate(self._points)}
        self._drawn: set[tuple[str, int]] = set()

    def frames(self) -> list[TransformStamped]:
        """A frame such as ``rack_3`` at each position."""
        found = []
        for position, (x, y, z) in self._points.items():
            frame = TransformStamped(child_frame_id=position_frame(position))
            frame.header.frame_id = self._frame
            frame.transform.translation = Vector3(x=x, y=y, z=z)
            frame.transform.rotation = Quaternion(w=1.0)
            found.append(frame)
        return found

    def draw(self, seen: Seen) -> MarkerArray:
        """Everything, and what to delete of the last drawing."""
        markers = [*self._stations(seen), *self._containers(seen), *self._path(seen)]
        now = {(marker.ns, marker.id) for marker in markers}
        for ns, number in sorted(self._drawn - now):
            markers.append(Marker(ns=ns, id=number, action=Marker.DELETE))
            markers[-1].header.frame_id = self._frame
        self._drawn = now
        return MarkerArray(markers=markers)

    # Stations -------------------------------------------------------------------------------

    def _stations(self, seen: Seen) -> Iterator[Marker]:
        for number, station in enumerate(self._lab.stations):
            solids = station_solids(station)
            for index, solid in enumerate(solids):
                colour = _STATIONS[station.kind]
                yield self._cube(number * _STATION_IDS + index, solid, colour)
            devices = [device for device in self._lab.devices if device.station == station.name]
            lines, colour = [station.name], _WHITE
            for device in devices:
                celsius = seen.celsius.get(device.name, math.nan)
                if math.isfinite(celsius):
                    lines.append(f"{celsius:.0f} °C")
                    colour = heat_colour(celsius)
            names = {device.name for device in devices}
            wrong = [fault for fault in seen.faults if fault.device in names]
            if wrong:
                lines += [_shortened(fault.message) for fault in wrong]
                colour = _FAULT
            middle = _middle(solids)
            top = max(solid.upper_m[2] for solid in solids) + 0.15
            text = (middle[0], middle[1], top)
            yield self._text("label", number, text, "\n".join(lines), colour, _STATION_TEXT_M)
        stationed = {device.name for device in self._lab.devices if device.station is not None}
        others = [fault for fault in seen.faults if fault.device not in stationed]
        if others:
            text = "\n".join(_shortened(f"{fault.device}: {fault.message}") for fault in others)
            marker = self._text(
                "label", len(self._lab.stations), (0.0, 0.0, 1.6), text, _FAULT, _STATION_TEXT_M
            )
            # Where the robot is, as long as it is.
            marker.header.frame_id, marker.frame_locked = "base_link", True
            yield marker

    def _cube(self, number: int, solid: Solid, colour: Colour) -> Marker:
        x, y, z = solid.size_m
        marker = self._marker("station", number, Marker.CUBE, solid.centre_m, colour)
        marker.scale = Vector3(x=x, y=y, z=z)
        return marker

    # Containers -----------------------------------------------------------------------------

    def _containers(self, seen: Seen) -> Iterator[Marker]:
        first_word = 1000 + len(self._lab.stations)
        for position, state in seen.positions.items():
            place = self._place_numbers.get(position)
            if state.container_id in self._numbers:
                number = self._numbers[state.container_id]
                sample = seen.samples.get(state.container_id)
                colour = _EMPTY if sample is None else _SAMPLES.get(sample.state, _EMPTY)
                if place is None and not is_gripper(position):
                    continue
                yield self._crucible(number, position, colour)
                if sample is not None:
                    yield self._sample_text(first_word + number, position, sample)
            elif place is not None and state.state == state.UNKNOWN:
                yield self._crucible(1000 + place, position, _UNKNOWN)

    def _crucible(self, number: int, position: str, colour: Colour) -> Marker:
        marker = self._at("sample", number, Marker.CYLINDER, position, CRUCIBLE.height_m / 2)
        marker.color = _colour(colour)
        marker.scale = Vector3(x=CRUCIBLE.diameter_m, y=CRUCIBLE.diameter_m, z=CRUCIBLE.height_m)
        return marker

    def _sample_text(self, number: int, position: str, sample: Any) -> Marker:
        marker = self._at("label", number, Marker.TEXT_VIEW_FACING, position, 0.07)
        marker.color, marker.scale = _colour(_WHITE), Vector3(z=_SAMPLE_TEXT_M)
        short = sample.sample_id.rpartition("-e")[2] or sample.sample_id
        marker.text = f"e{short}\n{sample.step}" if sample.step else f"e{short}"
        return marker

    def _at(self, ns: str, number: int, kind: int, position: str, height: float) -> Marker:
        """Above a container's bottom; what the gripper holds goes with it."""
        if position in self._points:
            x, y, z = self._points[position]
            return self._marker(ns, number, kind, (x, y, z + height), _EMPTY)
        held = (0.0, 0.0, CRUCIBLE.grasp_height_m - height)
        marker = self._marker(ns, number, kind, held, _EMPTY)
        marker.header.frame_id, marker.frame_locked = self._tool, True
        return marker

    # What is to come ------------------------------------------------------------------------

    def _path(self, seen: Seen) -> Iterator[Marker]:
        if len(seen.path) < 2:
            return
        marker = self._marker("path", 0, Marker.LINE_STRIP, (0.0, 0.0, 0.0), _PATH)
        marker.scale = Vector3(x=0.008)
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in seen.path]
        yield marker

    # Parts ----------------------------------------------------------------------------------

    def _text(
        self,
        ns: str,
        number: int,
        point: tuple[float, float, float],
        text: str,
        colour: Colour,
        size_m: float,
    ) -> Marker:
        marker = self._marker(ns, number, Marker.TEXT_VIEW_FACING, point, colour)
        marker.scale, marker.text = Vector3(z=size_m), text
        return marker

    def _marker(
        self, ns: str, number: int, kind: int, point: tuple[float, float, float], colour: Colour
    ) -> Marker:
        x, y, z = point
        marker = Marker(ns=ns, id=number, type=kind, action=Marker.ADD, color=_colour(colour))
        marker.header.frame_id = self._frame
        marker.pose = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0))
        return marker


def heat_colour(celsius: float) -> Colour:
    """From white over yellow to red."""
    share = min(max((celsius - _COLD_C) / (_HOT_C - _COLD_C), 0.0), 1.0)
    return 1.0, 1.0 - 0.7 * share, max(0.0, 1.0 - 1.6 * share), 1.0


def _colour(colour: Colour) -> ColorRGBA:
    r, g, b, a = colour
    return ColorRGBA(r=r, g=g, b=b, a=a)


def _middle(solids: Iterable[Solid]) -> tuple[float, float]:
    corners = list(itertools.chain.from_iterable((s.lower_m, s.upper_m) for s in solids))
    xs, ys = [corner[0] for corner in corners], [corner[1] for corner in corners]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
