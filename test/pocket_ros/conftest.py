"""A private router, a fresh ROS context per test, and other processes to talk with."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pocket_ros.hook

pocket_ros.hook.install()

import rclpy  # noqa: E402
from rclpy.executors import (  # noqa: E402
    Executor,
    ExternalShutdownException,
    MultiThreadedExecutor,
)
from rclpy.node import Node  # noqa: E402

DEADLINE_SEC = 20.0
_ROOT = Path(__file__).resolve().parents[2]
_PRELUDE = "import pocket_ros.hook; pocket_ros.hook.install()\n"


@pytest.fixture(scope="session")
def wire() -> Iterator[None]:
    """Run a router on a port of its own; all nodes of these tests find each other through it."""
    if os.environ.get("AMENT_PREFIX_PATH"):
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
        """Send a signal."""
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
