"""Writes down every message of the graph, ready for `ros2 bag play`, Foxglove and rosbags."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from matlab_ros.model.errors import ConfigError
from matlab_ros.monitor.recording import Definitions, Offer, Recording
from matlab_ros.nodes.device_node import declare, run_node
from matlab_ros.nodes.message_types import message_class

LOOK_PERIOD_S = 1.0
"""How soon a topic that is new is found."""

FLUSH_PERIOD_S = 5.0
"""How much is lost at most when this process is killed."""

DEPTH = 1000
"""Messages of one topic that may wait for this node."""


class Recorder(Node):
    """Looks for topics every second and writes what comes on them under its ROS time.

    Parameters: `folder`, a new rosbag2 folder; where it is there already, the next free one of
    ``folder.1``, ``folder.2``.

    Raises:
        ConfigError: no folder is named, or the libraries for it are not installed.
        LabError: the folder cannot be made.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        folder = declare(self, "folder", "", "where the recording goes; made by this node")
        if not folder:
            raise ConfigError("recorder", "folder", "is empty", "a folder for the recording")
        self._definitions = Definitions(_share)
        self.recording = Recording(_unused(Path(folder)), self._definitions)
        self.get_logger().info(f"recording to {self.recording.folder}")
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._early: list[tuple[str, bytes]] = []
        """What came before the first word of simulated time."""
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        group = MutuallyExclusiveCallbackGroup()
        self.create_timer(LOOK_PERIOD_S, self._look, callback_group=group, clock=steady)
        self.create_timer(FLUSH_PERIOD_S, self._flush, callback_group=group, clock=steady)
        self._look()

    def destroy_node(self) -> None:
        """End the recording, then leave."""
        self._flush()
        self.recording.close()
        super().destroy_node()

    def _look(self) -> None:
        for topic, types in self.get_topic_names_and_types():
            # As `ros2 bag record` does: what actions say among themselves is hidden.
            if topic not in self._seen and "/_" not in topic:
                self._begin(topic, types)

    def _begin(self, topic: str, types: list[str]) -> None:
        """Record a topic, once somebody publishes on it."""
        infos = self.get_publishers_info_by_topic(topic)
        if not infos:
            return
        self._seen.add(topic)
        if len(types) != 1:
            self.get_logger().warning(
                f"{topic} is not recorded: it has several types, {', '.join(types)}"
            )
            return
        found = message_class(types[0])
        if found is None or not self._definitions.knows(types[0]):
            self.get_logger().warning(
                f"{topic} is not recorded: its type {types[0]} is not installed here"
            )
            return
        offers = [
            Offer(
                info.qos_profile.depth or 1,
                info.qos_profile.reliability is ReliabilityPolicy.RELIABLE,
                info.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL,
            )
            for info in infos
        ]
        self.recording.add_topic(topic, types[0], offers)
        self.create_subscription(
            found,
            topic,
            lambda data: self._note(topic, data),
            _profile(offers),
            callback_group=MutuallyExclusiveCallbackGroup(),
            raw=True,
        )

    def _note(self, topic: str, data: Any) -> None:
        now_ns = self.get_clock().now().nanoseconds
        with self._lock:
            if now_ns <= 0:
                self._early.append((topic, bytes(data)))
                return
            self._write_early(now_ns)
            self.recording.write(topic, now_ns, bytes(data))

    def _flush(self) -> None:
        with self._lock:
            now_ns = self.get_clock().now().nanoseconds
            if now_ns > 0:
                self._write_early(now_ns)
        self.recording.flush()

    def _write_early(self, now_ns: int) -> None:
        early, self._early = self._early, []
        for topic, data in early:
            self.recording.write(topic, now_ns, data)


def _profile(offers: list[Offer]) -> QoSProfile:
    """What every publisher of the topic can serve: no more than the least of them offers."""
    reliable = all(offer.reliable for offer in offers)
    latched = all(offer.latched for offer in offers)
    return QoSProfile(
        depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _share(package: str) -> Path | None:
    try:
        return Path(get_package_share_directory(package))
    except PackageNotFoundError:
        return None


def _unused(folder: Path) -> Path:
    if not folder.exists():
        return folder
    others = (folder.with_name(f"{folder.name}.{number}") for number in itertools.count(1))
    return next(other for other in others if not other.exists())


def main() -> int:
    """Run the recorder."""
    return run_node(Recorder)
