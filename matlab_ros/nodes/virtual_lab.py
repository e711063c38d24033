"""The virtual lab: everything at the other end of the wires in one process, and its clock."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock as ClockMsg

from matlab_ros.model.lab_config import DeviceKind, load_lab
from matlab_ros.nodes.device_node import LATCHED, declare, run_node
from matlab_ros.nodes.ros_time import to_msg, to_ns
from matlab_ros.nodes.virtual_robot import VirtualRobotServers
from matlab_ros.virtual.bench import START_S, VirtualBench
from matlab_ros.virtual.misfortunes import load_misfortunes
from matlab_ros.virtual.stepping import AttemptView, LabView, next_moment
from matlab_ros_interfaces.msg import ActiveAttempt, DeviceState, LabWaits

CLOCK_PERIOD_S = 0.1
PACE_S = 0.05


class VirtualLabNode(Node):
    """Steps virtual time: lets the bench act up to a moment, then publishes it on /clock.

    Parameters: ``lab_file``, ``chemistry_dir``, ``structures_dir``, ``wire_dir``, ``share_dir``,
    ``aeris_port``, ``shaker_port``, ``doors_port``, ``seed``, ``speed`` (virtual seconds in a
    second, 0: as fast as everybody is done), ``offset_c.<furnace>``, ``log_dir`` (where the
    instruments keep their own logs; empty: they keep none), ``misfortunes_file`` (what goes wrong
    by itself, and how often; empty: nothing).
    """

    def __init__(self) -> None:
        super().__init__("virtual_lab")
        parameter: Callable[..., object] = functools.partial(declare, self)
        lab = load_lab(Path(str(parameter("lab_file", ""))))
        offsets_c = {
            device.name: float(str(parameter(f"offset_c.{device.name}", 0.0)))
            for device in lab.devices_of(DeviceKind.FURNACE)
        }
        self._speed = float(str(parameter("speed", 0.0)))
        self.bench = VirtualBench(
            lab,
            Path(str(parameter("chemistry_dir", ""))),
            Path(str(parameter("structures_dir", ""))),
            Path(str(parameter("wire_dir", "wires"))),
            Path(str(parameter("share_dir", "share"))),
            int(str(parameter("aeris_port", 7020))),
            int(str(parameter("shaker_port", 7080))),
            offsets_c,
            int(str(parameter("seed", 0))),
            _path_or_none(parameter("log_dir", "")),
            load_misfortunes(_path_or_none(parameter("misfortunes_file", ""))),
            int(str(parameter("doors_port", 7888))),
        )
        self._now_ns = round(START_S * 1e9)
        self._lock = threading.RLock()
        self._lab_view: LabView | None = None
        self._device_views: dict[str, tuple[AttemptView, ...]] = {}
        self._clock_publisher = self.create_publisher(ClockMsg, "/clock", QoSProfile(depth=10))
        self._robot_servers = VirtualRobotServers(self, self.bench.robot, self._step)
        views = MutuallyExclusiveCallbackGroup()
        self.create_subscription(LabWaits, "lab_waits", self._on_lab, LATCHED, callback_group=views)
        for device in lab.devices:
            self.create_subscription(
                DeviceState,
                f"{device.name}/state",
                self._on_device,
                LATCHED,
                callback_group=views,
            )
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        # Whoever comes late learns the time without waiting for a step.
        self.create_timer(
            CLOCK_PERIOD_S,
            self._publish_clock,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=steady,
        )
        if self._speed > 0:
            self.create_timer(
                PACE_S,
                self._pace,
                callback_group=MutuallyExclusiveCallbackGroup(),
                clock=steady,
            )

    def destroy_node(self) -> None:
        """Take everything off its wire, then end."""
        self.bench.close()
        super().destroy_node()

    def _on_lab(self, message: LabWaits) -> None:
        self._lab_view = LabView(
            message.quiescent,
            tuple(zip(message.attempts_in_flight, message.attempt_devices, strict=True)),
            to_ns(message.wakes_at),
        )
        self._step()

    def _on_device(self, message: DeviceState) -> None:
        self._device_views[message.device] = tuple(
            AttemptView(
                attempt.attempt_id,
                attempt.phase != ActiveAttempt.PHASE_ACTING,
                to_ns(attempt.waits_until),
                tuple(bytes(goal.uuid) for goal in attempt.awaited_goals),
            )
            for attempt in message.attempts
        )
        self._step()

    def _step(self) -> None:
        """Jump to the next moment if everybody waits for it."""
        if self._speed == 0:
            self._advance(None)

    def _pace(self) -> None:
        """Go on by a little, but not beyond the next moment."""
        self._advance(self._now_ns + round(self._speed * PACE_S * 1e9))

    def _advance(self, at_most_ns: int | None) -> None:
        with self._lock:
            goals, moment_s = self._robot_servers.under_way()
            moment = next_moment(
                self._now_ns,
                self._lab_view,
                self._device_views,
                goals,
                None if moment_s is None else _up(moment_s),
            )
            if moment is None:
                return
            self._now_ns = moment if at_most_ns is None else min(moment, at_most_ns)
            self._now_ns += round(1e9 * self.bench.clock_jump_s())
            self.bench.advance_to(self._now_ns * 1e-9)
            self._publish_clock()
            self._robot_servers.settle()

    def _publish_clock(self) -> None:
        with self._lock:
            self._clock_publisher.publish(ClockMsg(clock=to_msg(self._now_ns)))


def _path_or_none(value: object) -> Path | None:
    return Path(str(value)) if str(value) else None


def _up(seconds: float) -> int:
    """Nanoseconds, rounded up so that what happens at `seconds` has happened by then."""
    return int(seconds * 1e9) + 1


def main() -> int:
    """Run the virtual lab."""
    return run_node(VirtualLabNode, threads=4)
