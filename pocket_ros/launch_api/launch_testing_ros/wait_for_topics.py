"""Waiting until messages have come on topics."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from pocket_ros import rclpy
from pocket_ros.rclpy.executors import ExternalShutdownException, SingleThreadedExecutor


class WaitForTopics:
    """Subscribes to topics and waits for a message on each; a context manager.

    Args:
        topic_tuples: names and types of the topics.
        timeout: seconds to wait for all of them.
        messages_received_buffer_length: how many messages of each are kept.
    """

    def __init__(
        self,
        topic_tuples: Iterable[tuple[str, Any]],
        timeout: float = 5.0,
        messages_received_buffer_length: int = 10,
    ) -> None:
        self.topic_tuples = list(topic_tuples)
        self.timeout = timeout
        self._received: dict[str, deque[Any]] = {
            name: deque(maxlen=messages_received_buffer_length) for name, _ in self.topic_tuples
        }
        self._all = threading.Event()
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node(f"_test_node_{id(self):X}", context=self._context)
        for name, kind in self.topic_tuples:
            self._node.create_subscription(kind, name, self._taker(name), 10)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def wait(self) -> bool:
        """Wait for a message on every topic; False if the timeout passes first."""
        return self._all.wait(self.timeout)

    def topics_received(self) -> set[str]:
        """Topics with at least one message."""
        return {name for name, messages in self._received.items() if messages}

    def topics_not_received(self) -> set[str]:
        """Topics without a message."""
        return {name for name, messages in self._received.items() if not messages}

    def received_messages(self, topic_name: str) -> list[Any]:
        """The latest messages of a topic; raises KeyError for a topic that was not asked for."""
        return list(self._received[topic_name])

    def shutdown(self) -> None:
        """Leave the graph."""
        self._context.try_shutdown()
        self._thread.join()
        self._node.destroy_node()

    def __enter__(self) -> WaitForTopics:
        if not self.wait():
            missing = self.topics_not_received()
            self.shutdown()
            raise RuntimeError(f"Did not receive messages on these topics: {missing}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _taker(self, name: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            self._received[name].append(message)
            if not self.topics_not_received():
                self._all.set()

        return take

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()
