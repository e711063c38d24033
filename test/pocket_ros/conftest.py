"""A private router, a fresh ROS context per test, and other processes to talk with.

The tests in test_node_*.py know nothing of pocket_ros: they run on whatever rclpy there is. Here,
and only here, is decided which one that is. A real ROS 2, where there is one, always wins.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

with contextlib.suppress(ImportError):
    import pocket_ros.hook

    pocket_ros.hook.install()

import rclpy
from rclpy.executors import (
    Executor,
    ExternalShutdownException,
    MultiThreadedExecutor,
)
from rclpy.node import Node

DEADLINE_SEC = 20.0
_REPEAT_SEC = 2.0
_ROOT = Path(__file__).resolve().parents[2]
_IS_POCKET_ROS = rclpy.__name__.startswith("pocket_ros.")
_PRELUDE = "import pocket_ros.hook; pocket_ros.hook.install()\n" if _IS_POCKET_ROS else ""
# All that is not of the node suite tests pocket_ros itself.
_OTHERS = [
    path.name for path in Path(__file__).parent.glob("test_*.py") if "_node_" not in path.name
]
collect_ignore = [] if _IS_POCKET_ROS else _OTHERS


@pytest.fixture(scope="session")
def wire() -> Iterator[None]:
    """Run a router on a port of its own; all nodes of these tests find each other through it."""
    if not _IS_POCKET_ROS:
        yield
        return
    import zenoh

    from pocket_ros.session import router_config

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = router_config()
    config.insert_json5("listen/endpoints", json.dumps([f"tcp/127.0.0.1:{port}"]))
    patch = pytest.MonkeyPatch()
    with zenoh.open(config):
        patch.setenv("ZENOH_CONFIG_OVERRIDE", f'connect/endpoints=["tcp/127.0.0.1:{port}"]')
        patch.setenv("ROS_DOMAIN_ID", "87")
        yield
    patch.undo()


@pytest.fixture
def dds_rules() -> None:
    """Skip where publishers and subscriptions talk whatever their QoS: rmw_zenoh's own choice."""
    if not _IS_POCKET_ROS and "zenoh" in rclpy.get_rmw_implementation_identifier():
        pytest.skip("rmw_zenoh has no incompatible QoS")


class Ros:
    """What a test needs of ROS: nodes, an executor in a thread, results within the deadline."""

    def __init__(self) -> None:
        self._executors: list[tuple[Executor, threading.Thread]] = []
        self._nodes: list[Node] = []
        self.errors: queue.Queue[BaseException] = queue.Queue()

    def node(self, name: str, kind: Callable[..., Node] = Node, **kwargs: Any) -> Node:
        """Make a node that is destroyed at the end."""
        node = kind(name, **kwargs)
        self._nodes.append(node)
        return node

    def spin(self, *nodes: Node, executor: Executor | None = None) -> Executor:
        """Spin nodes in a thread; what their callbacks raise is in ``errors``."""
        executor = executor or MultiThreadedExecutor(num_threads=4)
        for node in nodes:
            executor.add_node(node)

        def run() -> None:
            try:
                executor.spin()
            except ExternalShutdownException:
                pass
            except BaseException as error:
                self.errors.put(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._executors.append((executor, thread))
        return executor

    @staticmethod
    def result(future: Any) -> Any:
        """Return a future's result within the deadline."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(DEADLINE_SEC), "the future was not completed in time"
        return future.result()

    @staticmethod
    def wait(event: threading.Event) -> None:
        """Wait for an event within the deadline."""
        assert event.wait(DEADLINE_SEC), "it did not happen in time"

    @staticmethod
    def meet(*publishers: Any) -> None:
        """Wait until each publisher has a subscription, whether or not a node is spun."""
        deadline = time.monotonic() + DEADLINE_SEC
        pause = threading.Event()
        while not all(publisher.get_subscription_count() for publisher in publishers):
            assert time.monotonic() < deadline, "a publisher has no subscription"
            pause.wait(0.01)

    @staticmethod
    def until(node: Node, condition: Callable[[], bool]) -> None:
        """Wait for what has no event in rclpy, on a timer of a node that is spun."""
        holds = threading.Event()
        timer = node.create_timer(0.01, lambda: holds.set() if condition() else None)
        assert holds.wait(DEADLINE_SEC), "it did not become true in time"
        node.destroy_timer(timer)

    @staticmethod
    def call(node: Node, srv_type: Any, name: str, request: Any) -> Any:
        """Call a service of a node that is spun elsewhere."""
        client = node.create_client(srv_type, name)
        assert client.wait_for_service(DEADLINE_SEC), f"no service {name}"
        try:
            return Ros.result(client.call_async(request))
        finally:
            node.destroy_client(client)

    def close(self) -> None:
        """End everything; the context first, as a signal would."""
        rclpy.try_shutdown()
        for executor, thread in self._executors:
            executor.shutdown()
            thread.join(DEADLINE_SEC)
            assert not thread.is_alive(), "an executor did not end after shutdown"
        for node in self._nodes:
            node.destroy_node()
        # A node of rclpy does not destroy its action servers: the next test must not meet them.
        self._executors.clear()
        self._nodes.clear()
        gc.collect()


@pytest.fixture
def arguments() -> list[str]:
    """The command line of the test's context; a test module or class overrides it."""
    return []


@pytest.fixture
def ros(wire: None, arguments: list[str]) -> Iterator[Ros]:
    """ROS, initialised for one test."""
    rclpy.init(args=arguments)
    ros = Ros()
    yield ros
    ros.close()


class Peer:
    """Another process that runs a script."""

    def __init__(self, script: str, arguments: list[str]) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.stderr: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + textwrap.dedent(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
                "PYTHONUNBUFFERED": "1",
            },
        )
        self._readers = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_err, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_err(self) -> None:
        assert self.process.stderr is not None
        self.stderr.extend(self.process.stderr)

    def line(self) -> str:
        """Return the next line that it prints."""
        try:
            line = self._lines.get(timeout=DEADLINE_SEC)
        except queue.Empty:
            raise AssertionError(f"the peer printed nothing; {''.join(self.stderr)}") from None
        assert line is not None, f"the peer ended; {''.join(self.stderr)}"
        return line

    def tell(self, line: str) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(DEADLINE_SEC)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; to a real rclpy, which may miss one, until it ends."""
        self.process.send_signal(number)
        if not _IS_POCKET_ROS:
            threading.Thread(target=self._repeat, args=(number,), daemon=True).start()

    def _repeat(self, number: signal.Signals) -> None:
        while True:
            try:
                self.process.wait(_REPEAT_SEC)
                return
            except subprocess.TimeoutExpired:
                self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for its end."""
        code = self.process.wait(DEADLINE_SEC)
        for reader in self._readers:
            reader.join(DEADLINE_SEC)
        return code


@pytest.fixture
def peer(wire: None) -> Iterator[Callable[..., Peer]]:
    """Start other processes; whatever still runs is killed at the end."""
    peers: list[Peer] = []

    def start(script: str, *arguments: str) -> Peer:
        peers.append(Peer(script, list(arguments)))
        return peers[-1]

    yield start
    for one in peers:
        one.process.kill()
        one.process.wait(DEADLINE_SEC)
