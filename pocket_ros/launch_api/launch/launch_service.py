"""Runs launch descriptions: visits their entities, and hands events to their handlers.

All visiting is done in the thread of the supervisor (`pocket_ros.launch.supervisor`), one thing
after the other; other threads leave what they want in its queue.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from pocket_ros.launch.description import Call, Description, Item
from pocket_ros.launch.supervisor import LaunchRun, OnOutput, ProcessState
from pocket_ros.launch_api.launch.event import Event
from pocket_ros.launch_api.launch.events import IncludeLaunchDescription, Shutdown
from pocket_ros.launch_api.launch.events.process import (
    ProcessExited,
    ProcessStarted,
    ProcessStderr,
    ProcessStdout,
    ProcessTargetedEvent,
    ShutdownProcess,
    SignalProcess,
)
from pocket_ros.launch_api.launch.launch_context import LaunchContext
from pocket_ros.launch_api.launch.launch_description import LaunchDescription
from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity
from pocket_ros.launch_api.launch.utilities import normalize_to_list_of_entities


class LaunchService:
    """Runs what was included, until all processes have ended or somebody shuts it down.

    Args:
        argv: for actions that ask for it.
        noninteractive: kept for actions that ask for it.
        debug: accepted; there is nothing more to say.
    """

    def __init__(
        self,
        *,
        argv: Iterable[str] | None = None,
        noninteractive: bool = False,
        debug: bool = False,
    ) -> None:
        self._context = LaunchContext(argv=argv, noninteractive=noninteractive)
        self._context.service = self
        self._lock = threading.RLock()
        self._run: LaunchRun | None = None
        self._waiting: deque[Event] = deque()
        """Events that came before the launch runs."""
        self._actions: dict[str, Any] = {}
        """Stand-ins for processes of XML and YAML files, by name."""

    @property
    def context(self) -> LaunchContext:
        """What actions see."""
        return self._context

    @property
    def is_shutting_down(self) -> bool:
        """Whether the launch is ending."""
        return self._run is not None and self._run.reason is not None

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Visit a description: at once if the launch runs, else when it begins."""
        self.emit_event(IncludeLaunchDescription(launch_description))

    def emit_event(self, event: Event) -> None:
        """Have an event handled in its turn; from any thread."""
        with self._lock:
            if self._run is None:
                self._waiting.append(event)
                return
            run = self._run
        # Also from the launch's own thread it waits for its turn.
        run.soon(lambda: self._handle(event))

    def shutdown(self, force_sync: bool = False) -> None:
        """End the launch; does not wait for it."""
        if self._run is not None:
            self._run.request_shutdown("LaunchService.shutdown() called")

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until the end; only in the main thread. Returns 0, or 1 if something went wrong.

        Without `shutdown_when_idle` it goes on when all processes have ended.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("LaunchService can only be run in the main thread.")
        run = self.start(os.environ, shutdown_when_idle=shutdown_when_idle)

        def on_signal(number: int, _frame: FrameType | None) -> None:
            if run.reason is None:
                run.request_shutdown(f"{signal.Signals(number).name} received")
            else:
                run.kill()

        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            run.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return 1 if run.error is not None else 0

    def start(
        self,
        environ: Mapping[str, str],
        *,
        shutdown_when_idle: bool = True,
        on_output: OnOutput | None = None,
        log_dir: Path | None = None,
    ) -> LaunchRun:
        """Begin to run, without waiting. Raises RuntimeError the second time."""
        with self._lock:
            if self._run is not None:
                raise RuntimeError("this LaunchService has been run already")
            self._run = LaunchRun(
                Description((Call(self._begin),)),
                environ,
                on_output,
                log_dir,
                follower=self,
                keep_alive=not shutdown_when_idle,
            )
            return self._run

    @property
    def error(self) -> Exception | None:
        """What an action or a handler has raised; it has ended the launch."""
        return None if self._run is None else self._run.error

    # What follows runs in the supervisor's thread.

    def do(self, item: Item) -> None:
        """Hand a process, a message, a delay or a stop to the supervisor."""
        assert self._run is not None
        self._run.do(item)

    def visit(self, entities: Any) -> None:
        """Visit entities and whatever they lead to, depth first."""
        for entity in normalize_to_list_of_entities(entities):
            following = entity.visit(self._context)
            if following is not None:
                self.visit(following)

    def _begin(self) -> None:
        with self._lock:
            # From here on `start` has its result.
            assert self._run is not None
        while self._waiting:
            self._handle(self._waiting.popleft())

    def _handle(self, event: Event) -> None:
        assert self._run is not None
        if isinstance(event, Shutdown) and self._run.reason is None:
            # Comes back as `stopping`, and its handlers are called then.
            self._run.request_shutdown(event.reason)
            return
        if isinstance(event, IncludeLaunchDescription):
            self.visit(event.launch_description)
        if isinstance(event, ProcessTargetedEvent):
            self._target(event)
        for handler in list(self._context.handlers):
            if handler.matches(event):
                before = self._context.replace_locals(dict(self._context.get_locals_as_dict()))
                try:
                    self.visit(handler.handle(event, self._context))
                finally:
                    self._context.replace_locals(before)

    def _target(self, event: ProcessTargetedEvent) -> None:
        assert self._run is not None
        for state in list(self._run.processes):
            if state.pid is None or not event.process_matcher(self._action_of(state)):
                continue
            if isinstance(event, SignalProcess):
                self._run.signal_process(state, event.signal)
            elif isinstance(event, ShutdownProcess):
                self._run.stop_process(state)

    # A follower of the supervisor.

    # What it hears waits for its turn, as in a real launch: a handler that is registered by the
    # same description as a process, but behind it, still hears of its start.

    def started(self, state: ProcessState) -> None:
        """A process runs."""
        details = _details(state)
        self._action_of(state).process_details = details
        self._later(ProcessStarted(**details, action=self._action_of(state)))

    def exited(self, state: ProcessState) -> None:
        """A process has ended."""
        assert state.returncode is not None
        action = self._action_of(state)
        self._later(ProcessExited(returncode=state.returncode, **_details(state), action=action))

    def wrote(self, state: ProcessState, stream: str, data: bytes) -> None:
        """A process has written."""
        kind = ProcessStdout if stream == "stdout" else ProcessStderr
        self._later(kind(text=data, **_details(state), action=self._action_of(state)))

    def stopping(self, reason: str) -> None:
        """The launch begins to shut down."""
        self._later(Shutdown(reason=reason, due_to_sigint="SIGINT" in reason))

    def _later(self, event: Event) -> None:
        assert self._run is not None
        self._run.soon(lambda: self._handle(event))

    def _action_of(self, state: ProcessState) -> Any:
        """The action of a process; one of an XML or YAML file gets one by its first event."""
        from pocket_ros.launch_api.launch.actions import ExecuteProcess

        if isinstance(state.spec.owner, LaunchDescriptionEntity):
            return state.spec.owner
        if state.name not in self._actions:
            action = ExecuteProcess(cmd=list(state.spec.command))
            self._actions[state.name] = action
        return self._actions[state.name]


def _details(state: ProcessState) -> dict[str, Any]:
    return {
        "name": state.name,
        "cmd": list(state.spec.command),
        "cwd": state.spec.directory,
        "env": state.spec.environment,
        "pid": state.pid,
    }
