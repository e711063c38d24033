"""A graph of its own with one device's node as a process, a caller, and taps on its wires."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zenoh

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
from matlab_ros.nodes.launching import free_port
from pocket_ros.session import router_config

ROOT = Path(__file__).parents[2]
LAB_FILE = ROOT / "config" / "labs" / "virtual_lab.yaml"
PATIENCE_S = 60.0


class Tap:
    """Waits for bytes that go to an instrument, and knows when they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wanted = b""
        self._heard = b""
        self._at: float | None = None
        self._reason = ""

    def heard(self, data: bytes) -> None:
        """Bytes arrived."""
        now = time.monotonic()
        with self._changed:
            self._heard = (self._heard + data)[-4096:]
            if self._at is None and self._wanted and self._wanted in self._heard:
                self._at = now
                self._changed.notify_all()

    def expect(self, wanted: bytes) -> None:
        """Look for these bytes from now on."""
        with self._changed:
            self._wanted, self._heard, self._at = wanted, b"", None
            self._reason = ""

    def give_up(self, reason: str) -> None:
        """They will not come any more."""
        with self._changed:
            self._reason = reason
            self._changed.notify_all()

    def wait(self) -> float:
        """When they came, steady seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._at is not None or self._reason, PATIENCE_S)
            if self._at is None:
                raise TimeoutError(f"{self._wanted!r} did not come: {self._reason}")
            assert self._at is not None
            return self._at


class Bench:
    """Router, caller and the node's process; a context manager.

    Args:
        folder: for wires and memories.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        endpoint = f"tcp/127.0.0.1:{free_port()}"
        config = router_config()
        config.insert_json5("listen/endpoints", json.dumps([endpoint]))
        self._router = zenoh.open(config)
        os.environ["ZENOH_CONFIG_OVERRIDE"] = f'connect/endpoints=["{endpoint}"]'
        import rclpy
        from rclpy.executors import MultiThreadedExecutor
        from rclpy.node import Node

        self._rclpy = rclpy
        rclpy.init()
        self.node = Node("caller")
        self._executor = MultiThreadedExecutor(num_threads=8)
        self._executor.add_node(self.node)
        self._spinner = threading.Thread(target=self._spin, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._ticking = threading.Event()
        self._ticker: threading.Thread | None = None

    def _spin(self) -> None:
        from rclpy.executors import ExternalShutdownException

        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._ticking.set()
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
        self._rclpy.try_shutdown()
        self._executor.shutdown(timeout_sec=2.0)
        self._router.close()

    def start(self, module: str, device: str, **parameters: object) -> None:
        """Start a device's node as a process, and activate it."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        self._spinner.start()
        arguments = ["--ros-args", "-r", f"__node:={device}", "-p", f"device:={device}"]
        given = {"lab_file": LAB_FILE, "state_dir": self.folder / "devices", **parameters}
        for name, value in given.items():
            arguments += ["-p", f"{name}:={value}"]
        code = f"from matlab_ros.nodes.{module} import main; raise SystemExit(main())"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            env={**os.environ},
            stderr=(self.folder / "node.log").open("wb"),
        )
        change = self.node.create_client(ChangeState, f"{device}/change_state")
        if not change.wait_for_service(PATIENCE_S):
            raise TimeoutError(f"{device} does not come up")
        for number in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            answer = self.call(change, ChangeState.Request(transition=Transition(id=number)))
            assert answer.success, f"{device} is not configured"

    def tick(self, advance: Callable[[float], None], speed: float) -> None:
        """Let emulated instruments live, `speed` of their seconds in a second."""
        began = time.monotonic()

        def run() -> None:
            while not self._ticking.wait(0.01):
                advance(speed * (time.monotonic() - began))

        self._ticker = threading.Thread(target=run, daemon=True)
        self._ticker.start()

    @staticmethod
    def done(future: Any) -> Any:
        """What a future gives."""
        ready = threading.Event()
        future.add_done_callback(lambda _: ready.set())
        if not ready.wait(PATIENCE_S):
            raise TimeoutError("nothing came back")
        return future.result()

    def call(self, client: Any, request: Any) -> Any:
        """Call a service and wait for its answer."""
        return self.done(client.call_async(request))
