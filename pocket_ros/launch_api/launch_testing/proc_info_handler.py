"""What became of the processes of a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from pocket_ros.launch_api.launch.events.process import ProcessExited, RunningProcessEvent
from pocket_ros.launch_api.launch_testing.util import (
    NoMatchingProcessException,
    resolveProcesses,
)


class ProcInfoHandler:
    """The latest event of each process: started or exited."""

    def __init__(self) -> None:
        self._by_action: dict[Any, RunningProcessEvent] = {}

    def append(self, process_info: RunningProcessEvent) -> None:
        """Remember an event."""
        self._by_action[process_info.action] = process_info

    def __iter__(self) -> Iterator[RunningProcessEvent]:
        return iter(list(self._by_action.values()))

    def processes(self) -> list[Any]:
        """Actions of the processes."""
        return list(self._by_action)

    def process_names(self) -> list[str]:
        """Names of the processes."""
        return [action.process_details["name"] for action in self._by_action]

    def __getitem__(self, key: Any) -> Any:
        """The event of a process, by action or part of its name; raises KeyError."""
        if not isinstance(key, str):
            return self._by_action[key]
        for action, event in self._by_action.items():
            if key in action.process_details["name"]:
                return event
        raise KeyError(key)


class ActiveProcInfoHandler:
    """The same of processes that run, for other threads, which may wait for more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._handler = ProcInfoHandler()

    @property
    def proc_event(self) -> threading.Condition:
        """Told at every change."""
        return self._changed

    @property
    def handler(self) -> ProcInfoHandler:
        """The same when nothing changes any more."""
        return self._handler

    def append(self, process_info: RunningProcessEvent) -> None:
        """Remember an event."""
        with self._changed:
            self._handler.append(process_info)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[RunningProcessEvent]:
        with self._changed:
            return iter(self._handler)

    def processes(self) -> list[Any]:
        """Actions of the processes."""
        with self._changed:
            return self._handler.processes()

    def process_names(self) -> list[str]:
        """Names of the processes."""
        with self._changed:
            return self._handler.process_names()

    def __getitem__(self, key: Any) -> Any:
        with self._changed:
            return self._handler[key]

    def assertWaitForStartup(
        self, process: Any, cmd_args: Any = None, *, timeout: float = 10
    ) -> None:
        """Assert that a process starts within `timeout` seconds."""
        self._wait(process, cmd_args, timeout, "start", lambda event: True)

    def assertWaitForShutdown(
        self, process: Any, cmd_args: Any = None, *, timeout: float = 10
    ) -> None:
        """Assert that a process ends within `timeout` seconds."""
        self._wait(
            process, cmd_args, timeout, "finish", lambda event: isinstance(event, ProcessExited)
        )

    def _wait(
        self,
        process: Any,
        cmd_args: Any,
        timeout: float,
        what: str,
        holds: Callable[[RunningProcessEvent], bool],
    ) -> None:
        def happened() -> bool:
            try:
                [action] = resolveProcesses(self._handler, process=process, cmd_args=cmd_args)
            except NoMatchingProcessException:
                return False
            return holds(self._handler[action])

        with self._changed:
            if not self._changed.wait_for(happened, timeout):
                raise AssertionError(f"Timed out waiting for process '{process}' to {what}")
