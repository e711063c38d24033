"""`matlab-ros replay RECORDING`: what was said then is said again, on a graph of today."""

from __future__ import annotations

import argparse
import contextlib
import math
import re
import threading
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from matlab_ros.model.errors import ConfigError, LabError
from matlab_ros.monitor.recording import Recorded, read_recording
from matlab_ros.nodes.message_types import message_class

LISTENERS_S = 2.0
"""Steady seconds that those who listen are given to find the topics."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("recording", type=Path, help="a rosbag2 folder, or an .mcap file")
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="recorded seconds in a second; 0: without pauses (default: 1)",
    )
    parser.add_argument(
        "--longest-pause",
        type=float,
        default=math.inf,
        metavar="S",
        help="seconds; longer pauses are shortened to it: nights and firings are long",
    )
    parser.add_argument(
        "--topics", default="", metavar="REGEX", help="only topics whose whole name matches"
    )
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Replay.

    Returns:
        0 at its end.

    Raises:
        ConfigError: an option makes no sense.
        LabError: there is no such recording, or nothing in it can be said here.
    """
    if options.speed < 0 or options.longest_pause < 0:
        raise ConfigError("command line", "--speed", "is negative", "0 or more")
    try:
        wanted = re.compile(options.topics or ".*")
    except re.error as error:
        raise ConfigError(
            "command line", "--topics", f"{options.topics!r}: {error}", "a regular expression"
        ) from error
    rclpy.init(args=[])
    node = Node("replay")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=_spin, args=(executor,), daemon=True)
    spinning.start()
    try:
        voice = _Voice(node, options.recording, wanted)
        while True:
            voice.say_all(options.speed, options.longest_pause)
            if not options.loop:
                break
    finally:
        rclpy.try_shutdown()
        node.destroy_node()
        spinning.join(LISTENERS_S)
    print(f"{voice.said} messages on {len(voice.publishers)} topics")
    return 0


def _spin(executor: SingleThreadedExecutor) -> None:
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


class _Voice:
    """Says again what a recording holds."""

    def __init__(self, node: Node, recording: Path, wanted: re.Pattern[str]) -> None:
        self.publishers: dict[str, Any] = {}
        self.said = 0
        self._recording = recording
        self._pause = threading.Event()
        unknown: set[str] = set()
        for item in read_recording(recording):
            if item.topic in self.publishers or not wanted.fullmatch(item.topic):
                continue
            kind = message_class(item.type_name)
            if kind is None:
                unknown.add(item.type_name)
                continue
            self.publishers[item.topic] = node.create_publisher(kind, item.topic, _profile(item))
        if not self.publishers:
            missing = f"; not installed here: {', '.join(sorted(unknown))}" if unknown else ""
            raise LabError(f"{recording} holds nothing that could be said again{missing}.")
        self._pause.wait(LISTENERS_S)

    def say_all(self, speed: float, longest_pause_s: float) -> None:
        before_ns: int | None = None
        for item in read_recording(self._recording):
            publisher = self.publishers.get(item.topic)
            if publisher is None:
                continue
            if before_ns is not None and speed > 0:
                pause_s = (item.time_ns - before_ns) * 1e-9 / speed
                if pause_s > 0:
                    self._pause.wait(min(pause_s, longest_pause_s))
            before_ns = item.time_ns
            publisher.publish(item.data)
            self.said += 1


def _profile(item: Recorded) -> QoSProfile:
    return QoSProfile(
        depth=1 if item.latched else 100,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if item.latched else DurabilityPolicy.VOLATILE,
    )
