"""What the processes of a test have written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pocket_ros.launch_api.launch.events.process import ProcessIO
from pocket_ros.launch_api.launch_testing.asserts import assertInStream
from pocket_ros.launch_api.launch_testing.util import (
    NoMatchingProcessException,
    resolveProcesses,
)


class IoHandler:
    """All output in order, and by process."""

    def __init__(self) -> None:
        self._events: list[ProcessIO] = []
        self._by_name: dict[str, list[ProcessIO]] = {}

    def track(self, process_name: str) -> None:
        """Know a process that has written nothing yet."""
        self._by_name.setdefault(process_name, [])

    def append(self, process_io: ProcessIO) -> None:
        """Remember what a process has written."""
        self._events.append(process_io)
        self._by_name.setdefault(process_io.process_name, []).append(process_io)

    def __iter__(self) -> Iterator[ProcessIO]:
        return iter(self._events)

    def processes(self) -> list[Any]:
        """Actions of the processes that have written."""
        return [events[0].action for events in self._by_name.values() if events]

    def process_names(self) -> Iterable[str]:
        """Names of the processes."""
        return self._by_name.keys()

    def __getitem__(self, key: Any) -> list[ProcessIO]:
        """Output of a process, by name or action; raises KeyError."""
        return list(self._by_name[key if isinstance(key, str) else key.process_details["name"]])


class ActiveIoHandler:
    """Output of processes that run, for other threads, which may wait for more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._handler = IoHandler()

    @property
    def io_event(self) -> threading.Condition:
        """Told at every change."""
        return self._changed

    @property
    def handler(self) -> IoHandler:
        """The same when nothing changes any more."""
        return self._handler

    def track(self, process_name: str) -> None:
        """Know a process that has written nothing yet."""
        with self._changed:
            self._handler.track(process_name)
            self._changed.notify_all()

    def append(self, process_io: ProcessIO) -> None:
        """Remember what a process has written."""
        with self._changed:
            self._handler.append(process_io)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[ProcessIO]:
        with self._changed:
            return iter(list(self._handler))

    def processes(self) -> list[Any]:
        """Actions of the processes that have written."""
        with self._changed:
            return self._handler.processes()

    def process_names(self) -> list[str]:
        """Names of the processes."""
        with self._changed:
            return list(self._handler.process_names())

    def __getitem__(self, key: Any) -> list[ProcessIO]:
        with self._changed:
            return self._handler[key]

    def assertWaitFor(
        self,
        expected_output: Any,
        process: Any = None,
        cmd_args: Any = None,
        *,
        strict_proc_matching: bool = True,
        output_filter: Callable[[str], str] | None = None,
        timeout: float = 10,
        strip_ansi_escape_sequences: bool = True,
        stream: str = "stderr",
    ) -> None:
        """Assert that something is written within `timeout` seconds; see `assertInStream`."""
        found = self.waitFor(
            expected_output,
            process,
            cmd_args,
            strict_proc_matching=strict_proc_matching,
            output_filter=output_filter,
            timeout=timeout,
            strip_ansi_escape_sequences=strip_ansi_escape_sequences,
            stream=stream,
        )
        if not found:
            raise AssertionError(f"Waiting for output timed out: {expected_output!r}")

    def waitFor(
        self,
        expected_output: Any,
        process: Any = None,
        cmd_args: Any = None,
        *,
        strict_proc_matching: bool = True,
        output_filter: Callable[[str], str] | None = None,
        timeout: float = 10,
        strip_ansi_escape_sequences: bool = True,
        stream: str = "stderr",
    ) -> bool:
        """Wait until something is written; False if the timeout passes first.

        Raises Exception if no such process has written anything by then.
        """

        def is_written() -> bool:
            try:
                assertInStream(
                    self._handler,
                    expected_output,
                    process,
                    cmd_args,
                    output_filter=output_filter,
                    strict_proc_matching=strict_proc_matching,
                    strip_ansi_escape_sequences=strip_ansi_escape_sequences,
                    stream=stream,
                )
            except (NoMatchingProcessException, AssertionError):
                return False
            return True

        with self._changed:
            if self._changed.wait_for(is_written, timeout):
                return True
            try:
                resolveProcesses(
                    self._handler, process=process, cmd_args=cmd_args, strict_proc_matching=False
                )
            except NoMatchingProcessException as error:
                raise NoMatchingProcessException(
                    f"nothing was written within {timeout} s: {error}"
                ) from None
            return False
