"""Hears a lab from outside: which of its nodes are up, since when, and in which process."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)

import rclpy  # isort: skip
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # isort: skip
from rclpy.node import Node  # isort: skip
from rclpy.signals import SignalHandlerOptions  # isort: skip

from matlab_ros.model.lab_config import LabConfig
from matlab_ros.nodes.device_node import LATCHED
from matlab_ros_interfaces.msg import DeviceState, LabState, PlannerState

MANAGER, PLANNER, ROUTER, WORLD = "lab_manager", "planner", "router", "virtual_lab"
_STARTED = re.compile(r"\[([^\]]+)\]: process started with pid \[(\d+)\]")


class Processes:
    """The processes of a lab, from what its launcher wrote.

    Args:
        log: the launcher's.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = 0
        self._nodes: dict[str, str] = {ROUTER: ROUTER}
        """Node by the launcher's name of its process."""
        self._pids: dict[str, int] = {}

    def pids(self) -> dict[str, int]:
        """The last process of each node."""
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._read)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read += len(whole)
            for found in _STARTED.finditer(whole.decode(errors="replace")):
                self._take(found[1], int(found[2]))
        return dict(self._pids)

    def _take(self, name: str, pid: int) -> None:
        node = self._nodes.get(name) or _node_of(pid)
        if node:
            self._nodes[name] = node
            self._pids[node] = pid


def _node_of(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return ""
    return next((word.partition(":=")[2] for word in words if word.startswith("__node:=")), "")


class Onlooker:
    """A node in a lab's graph that only listens.

    Args:
        lab: what devices it has.
        graph: environment that leads into the graph.
        processes: of the lab.
    """

    def __init__(self, lab: LabConfig, graph: Mapping[str, str], processes: Processes) -> None:
        before = {name: os.environ.get(name) for name in graph}
        os.environ.update(graph)
        try:
            # Signals are the benchmark's own.
            rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
            self._node = Node("chaos_onlooker")
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
        self._processes = processes
        self._changed = threading.Condition()
        self._heard: dict[str, tuple[float, bool]] = {}
        """By node: when it was heard last, and whether it was ready then."""
        self.lab: LabState | None = None
        self._node.create_subscription(LabState, "lab_state", self._on_lab, LATCHED)
        self._node.create_subscription(PlannerState, "planner_state", self._on_planner, LATCHED)
        for device in lab.devices:
            self._node.create_subscription(
                DeviceState, f"{device.name}/state", self._on_device, LATCHED
            )
        self.nodes = (MANAGER, PLANNER, *(device.name for device in lab.devices))
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def is_up(self, node: str, since: float) -> bool:
        """Whether a node was heard to be ready after a moment of steady time."""
        if node == ROUTER:
            node = MANAGER
        at, ready = self._heard.get(node, (0.0, False))
        return ready and at > since

    def wait(self, what: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so; whether it came to be."""
        until = time.monotonic() + seconds
        with self._changed:
            while not what():
                if time.monotonic() > until:
                    return False
                self._changed.wait(0.05)
        return True

    @property
    def is_working(self) -> bool:
        """Whether an attempt is under way."""
        return self.lab is not None and bool(self.lab.attempts_in_flight)

    def _note(self, node: str, ready: bool) -> None:
        with self._changed:
            self._heard[node] = time.monotonic(), ready
            self._changed.notify_all()

    def _on_lab(self, message: LabState) -> None:
        self.lab = message
        self._note(MANAGER, True)

    def _on_planner(self, message: PlannerState) -> None:
        self._note(PLANNER, True)

    def _on_device(self, message: DeviceState) -> None:
        ready = message.lifecycle_state == DeviceState.ACTIVE and not message.faulted
        self._note(message.device, ready)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def close(self) -> None:
        """Leave the graph."""
        rclpy.try_shutdown()
        self._executor.shutdown()
        self._thread.join(10.0)
        self._node.destroy_node()
