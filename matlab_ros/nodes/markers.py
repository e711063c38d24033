"""What RViz and Foxglove show of the lab: one MarkerArray, and a frame at every position."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

from nav_msgs.msg import Path as PlannedPath
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Temperature
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import DeviceKind, load_lab
from matlab_ros.nodes.device_node import LATCHED, declare, run_node
from matlab_ros.nodes.marker_view import LabMarkers, Seen
from matlab_ros_interfaces import msg, srv

_LOOK_S = 0.25
"""Steady seconds between two drawings, at least."""
_COST = 10.0
"""A snapshot is asked for again after so many times the time the last one took."""
_ANSWER_S = 20.0
"""Steady seconds after which a question nobody answered is asked again."""
_STEP_C = 1.0
"""A furnace is drawn again when it is so much hotter or colder."""


class MarkersNode(Node):
    """Listens to the lab manager and the furnaces, and publishes `markers` and `/tf_static`.

    Both are latched, and each message is the whole picture: whoever comes late sees all of it.
    It sends no command.

    Parameters: `lab_file`, the lab's stations and positions; `map_frame`; `tool_frame`, of the
    point between the fingers.

    Raises:
        ConfigError: there is no such lab.
    """

    def __init__(self) -> None:
        super().__init__("markers")
        lab_file = declare(self, "lab_file", "", "the lab's stations and positions")
        if not lab_file:
            raise ConfigError("markers", "lab_file", "is empty", "the lab's file")
        lab = load_lab(Path(lab_file))
        frame = declare(self, "map_frame", "map")
        self._view = LabMarkers(lab, frame, declare(self, "tool_frame", "tool"))
        self._seen = Seen()
        self._lock = threading.Lock()
        self._stale = self._changed = True
        self._heard: tuple[int, int, str] | None = None
        self._asked_s: float | None = None
        self._ask_after_s = 0.0
        self._markers = self.create_publisher(MarkerArray, "markers", LATCHED)
        self._static = self.create_publisher(TFMessage, "/tf_static", LATCHED)
        self._static.publish(TFMessage(transforms=self._view.frames()))
        self._snapshots = self.create_client(srv.GetSnapshot, "get_snapshot")
        self.create_subscription(msg.LabEvent, "lab_events", self._on_event, 1000)
        self.create_subscription(msg.LabState, "lab_state", self._on_state, LATCHED)
        for device in lab.devices_of(DeviceKind.FURNACE):
            self._listen_to(device.name)
        for device in lab.devices_of(DeviceKind.ARM):
            self.create_subscription(
                PlannedPath, f"{device.name}/planned_path", self._on_path, LATCHED
            )
        self.create_timer(
            _LOOK_S,
            self._look,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def _on_event(self, _message: Any) -> None:
        self._stale = True

    def _on_state(self, state: Any) -> None:
        """It comes with every heartbeat too."""
        if self._heard != (state.open_faults, len(state.attempts_in_flight), state.campaign):
            self._heard = state.open_faults, len(state.attempts_in_flight), state.campaign
            self._stale = True

    def _listen_to(self, furnace: str) -> None:
        def measured(message: Any) -> None:
            with self._lock:
                known = self._seen.celsius.get(furnace)
                if known is not None and abs(known - message.temperature) < _STEP_C:
                    return
                celsius = {**self._seen.celsius, furnace: message.temperature}
                self._show(celsius=celsius)

        self.create_subscription(Temperature, f"{furnace}/temperature", measured, 10)

    def _on_path(self, message: Any) -> None:
        points = [pose.pose.position for pose in message.poses]
        with self._lock:
            self._show(path=[(point.x, point.y, point.z) for point in points])

    def _show(self, **what: Any) -> None:
        self._seen = dataclasses.replace(self._seen, **what)
        self._changed = True

    def _look(self) -> None:
        with self._lock:
            if self._changed:
                self._changed = False
                self._markers.publish(self._view.draw(self._seen))
        now = time.monotonic()
        waiting = self._asked_s is not None and now - self._asked_s < _ANSWER_S
        if not self._stale or waiting or now < self._ask_after_s:
            return
        if not self._snapshots.service_is_ready():
            return
        self._stale, self._asked_s = False, now
        future = self._snapshots.call_async(srv.GetSnapshot.Request())
        future.add_done_callback(lambda done: self._on_snapshot(done, now))

    def _on_snapshot(self, done: Any, began_s: float) -> None:
        self._asked_s = None
        took_s = time.monotonic() - began_s
        self._ask_after_s = time.monotonic() + _COST * took_s
        snapshot = done.result()
        if snapshot is None:
            self._stale = True
            return
        with self._lock:
            self._show(
                positions={item.position: item for item in snapshot.positions},
                samples={item.container_id: item for item in snapshot.samples if item.container_id},
                faults=[item for item in snapshot.faults if item.resolution == msg.Fault.OPEN],
            )


def main(arguments: list[str] | None = None) -> int:
    """Run the markers' node."""
    return run_node(MarkersNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
