"""Runs a launch description: starts its processes, watches them, and ends them all.

One thread holds all state. It sleeps in a selector on the processes' output and on a wake-up
pipe; one more thread for each process waits for its end. Every process leads its own session,
so a Ctrl-C in the terminal reaches the launcher alone, which then asks everyone to stop. If the
launcher itself is killed, a watchdog (`reaper`) at the other end of a pipe ends the processes.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import logging
import os
import queue
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from pocket_ros import router
from pocket_ros.launch import reaper
from pocket_ros.launch.description import (
    Call,
    Delay,
    Description,
    Item,
    Message,
    ProcessSpec,
    Stop,
)
from pocket_ros.launch.errors import LaunchError
from pocket_ros.launch.interpreter import interpret
from pocket_ros.session import ConfigurationError, is_reachable

_log = logging.getLogger("pocket_ros.launch")

ROUTER = "router"
_ROUTER_START_TIMEOUT_S = 15.0
_ROUTER_STOP_TIMEOUT_S = 3.0
_COULD_NOT_START = 127
_CHUNK = 65536
_LONGEST_LINE = 1 << 20


class OutputLine(NamedTuple):
    """A line that a process, or the launcher itself, has written."""

    process: str
    """For example "talker-3"; "launch" for the launcher's own lines."""
    stream: str
    """"stdout", "stderr" or "launch"."""
    text: str

    def formatted(self) -> str:
        """The line as it is printed and logged."""
        if self.stream == "launch":
            return f"[INFO] [{self.process}]: {self.text}"
        return f"[{self.process}] {self.text}"


OnOutput = Callable[[OutputLine], None]


@dataclass(eq=False)
class ProcessState:
    """A process of the launch; read it, the supervisor writes it."""

    name: str
    """With its number: "talker-3"."""
    spec: ProcessSpec
    pid: int | None = None
    returncode: int | None = None
    """None while it runs or waits to be started again; negative: ended by that signal."""
    respawns: int = 0
    _asked: bool = False
    """It was asked to stop."""
    _popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _buffers: dict[str, bytearray] = field(default_factory=dict, repr=False)

    @property
    def running(self) -> bool:
        """Whether it is alive."""
        return self._popen is not None


class Follower(Protocol):
    """Hears of a launch in the supervisor's thread; of the router it hears nothing."""

    def started(self, state: ProcessState) -> None:
        """A process runs."""

    def exited(self, state: ProcessState) -> None:
        """A process has ended with `state.returncode`."""

    def wrote(self, state: ProcessState, stream: str, data: bytes) -> None:
        """A process has written to "stdout" or "stderr"."""

    def stopping(self, reason: str) -> None:
        """The launch begins to shut down."""


def launch_file(
    path: str | os.PathLike[str],
    args: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    on_output: OnOutput | None = None,
    log_dir: str | os.PathLike[str] | None = None,
) -> LaunchRun:
    """Start all that a launch file describes, and a router first if none answers.

    `env`: the whole environment of the processes, by default this one's.
    `on_output` gets every line, in the supervisor's thread; by default lines go to standard
    output and standard error as `output` in the launch file says. All lines also go to
    `<log_dir>/launch.log` where a directory is given.

    Raises LaunchError if the file or its arguments are wrong; nothing was started then.
    """
    environ = dict(os.environ if env is None else env)
    folder = None if log_dir is None else Path(log_dir)
    if Path(path).suffix == ".py":
        from pocket_ros.launch_api import python_file

        return python_file.start(Path(path), args or {}, environ, on_output, folder)
    description = interpret(path, args, environ, folder)
    return LaunchRun(description, environ, on_output, folder)


class LaunchRun:
    """A running launch. A context manager: leaving it shuts everything down."""

    def __init__(
        self,
        description: Description,
        environ: Mapping[str, str],
        on_output: OnOutput | None = None,
        log_dir: Path | None = None,
        follower: Follower | None = None,
        keep_alive: bool = False,
    ) -> None:
        """Start what a description says; `keep_alive`: go on when all processes have ended."""
        if os.name != "posix":
            raise LaunchError("launching processes is implemented for Linux and macOS only")
        self.description = description
        self.processes: list[ProcessState] = []
        """Every process started so far, the router's included, in the order of their start."""
        self.reason: str | None = None
        """Why the launch is being shut down; None before."""
        self.error: Exception | None = None
        """What a `Call` or a follower has raised; it has ended the launch."""
        self._follower = follower
        self._keep_alive = keep_alive
        self._environ = dict(environ)
        try:
            self._router_endpoints = router.missing_router(self._environ)
        except ConfigurationError as error:
            raise LaunchError(str(error)) from None
        self._on_output = on_output or _print
        self._over = threading.Event()
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        # Sockets, because a late wake-up must not write to somebody else's descriptor.
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, None)
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = itertools.count()
        self._number = itertools.count(1)
        self._pending = 0
        """Delays and respawns that are still to come."""
        self._held: tuple[Item, ...] | None = None
        """What waits for the router."""
        self._router: ProcessState | None = None
        self._router_asked = False
        self._failed: set[ProcessState] = set()
        self._log_file = _open_log(log_dir)
        self._reaper = _start_reaper()
        self._thread = threading.Thread(target=self._run, name="launch", daemon=True)
        self._thread.start()

    def __enter__(self) -> LaunchRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def process(self, name: str) -> ProcessState:
        """The latest process with this name, with or without its number. Raises KeyError."""
        for state in reversed(self.processes):
            if name in (state.name, state.spec.name):
                return state
        raise KeyError(name)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every process has ended; False if the timeout passes first."""
        return self._over.wait(timeout)

    def shutdown(self, timeout: float | None = None, reason: str = "shutdown requested") -> bool:
        """Ask every process to stop, and wait for it; False if the timeout passes first.

        SIGINT comes first, SIGTERM and SIGKILL after the deadlines of each process. With a
        timeout, whatever is left then is killed.
        """
        self.request_shutdown(reason)
        if self._over.wait(timeout):
            return True
        self.kill()
        self._over.wait(_ROUTER_STOP_TIMEOUT_S)
        return False

    def request_shutdown(self, reason: str = "shutdown requested") -> None:
        """Begin to shut down, without waiting. Safe in a signal handler."""
        self._post(lambda: self._stop(reason))

    def kill(self) -> None:
        """Kill everything at once. Safe in a signal handler."""
        self._post(self._kill_all)

    def do(self, *items: Item) -> None:
        """Do more than the description says: at once in the supervisor's thread, else soon.

        Once the launch shuts down, only messages and calls are done.
        """
        if threading.current_thread() is self._thread:
            self._do(items)
        else:
            self._post(lambda: self._do(items))

    def soon(self, function: Callable[[], None]) -> None:
        """Call something in the supervisor's thread, after what it does at this moment."""
        self._post(lambda: self._guard(function))

    def stop_process(self, state: ProcessState) -> None:
        """Ask one process to stop, as `shutdown` asks all; it is not started again."""
        self._post(lambda: self._ask_to_stop(state))

    def signal_process(self, state: ProcessState, number: signal.Signals) -> None:
        """Send a signal to a process, if it runs."""

        def send() -> None:
            if state._popen is not None:
                self._signal(state, state._popen, number)

        self._post(send)

    @property
    def failed(self) -> list[ProcessState]:
        """Processes that ended with an error before anybody asked them to."""
        return [state for state in self.processes if state in self._failed]

    # Everything below runs in the supervisor's thread.

    def _run(self) -> None:
        try:
            self._begin()
            while not self._finished():
                self._step()
        except Exception:
            _log.exception("the launch has failed")
            self._kill_all()
        finally:
            self._close()

    def _begin(self) -> None:
        if not self._router_endpoints:
            self._do(self.description.items)
            return
        self._held = self.description.items
        spec = ProcessSpec(
            name=ROUTER,
            command=tuple(router.router_command(self._router_endpoints)),
            environment=self._environ,
            respawn=True,
            respawn_delay_s=0.5,
            sigterm_timeout_s=_ROUTER_STOP_TIMEOUT_S,
        )
        self._router = ProcessState(ROUTER, spec)
        self.processes.append(self._router)
        self._start(self._router)
        self._at(_ROUTER_START_TIMEOUT_S, self._router_late)

    def _router_late(self) -> None:
        if self._held is not None and self._router is not None:
            self._failed.add(self._router)
            self._stop(f"the router did not start within {_ROUTER_START_TIMEOUT_S:g} s")

    def _router_ready(self) -> None:
        held, self._held = self._held, None
        if held is not None and self.reason is None:
            self._do(held)

    def _finished(self) -> bool:
        others = [s for s in self.processes if s is not self._router]
        if self._held is not None and self.reason is None:
            return False
        if any(s.running for s in others):
            return False
        if self.reason is None and (self._pending or self._keep_alive):
            return False
        if not self._commands.empty():
            return False
        if self._router is not None and self._router.running:
            # Everyone else is gone: now the router may go.
            if self.reason is None:
                self.reason = "every process has ended"
            if not self._router_asked:
                self._router_asked = True
                self._ask_to_stop(self._router)
            return False
        return True

    def _step(self) -> None:
        timeout = None
        if self._timers:
            timeout = max(0.0, self._timers[0][0] - time.monotonic())
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake_reader.recv(_CHUNK)
            else:
                self._read(*key.data)
        while not self._commands.empty():
            self._commands.get()()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _post(self, command: Callable[[], None]) -> None:
        """Have a command run by the supervisor's thread."""
        self._commands.put(command)
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"!")

    def _at(self, delay_s: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._ticket), action))

    def _do(self, items: tuple[Item, ...]) -> None:
        for item in items:
            if self.reason is not None and not isinstance(item, (Message, Call)):
                continue
            if isinstance(item, Call):
                self._guard(item.function)
            elif isinstance(item, ProcessSpec):
                state = ProcessState(f"{item.name}-{next(self._number)}", item)
                self.processes.append(state)
                self._start(state)
            elif isinstance(item, Message):
                self._say("launch", item.text)
            elif isinstance(item, Stop):
                self._stop(item.reason)
            elif isinstance(item, Delay):
                self._later(item.period_s, functools.partial(self._do, item.items))

    def _guard(self, function: Callable[[], None]) -> None:
        """Call what is not ours; if it raises, the launch ends."""
        try:
            function()
        except Exception as error:
            _log.debug("raised in the launch", exc_info=True)
            if self.error is None:
                self.error = error
            self._stop(f"caught exception in launch: {error}")

    def _tell(self, state: ProcessState, tell: Callable[[Follower], None]) -> None:
        follower = self._follower
        if follower is not None and state is not self._router:
            self._guard(lambda: tell(follower))

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Like `_at`, for what keeps the launch alive and does not happen after its end."""
        self._pending += 1

        def due() -> None:
            self._pending -= 1
            if self.reason is None:
                action()

        self._at(delay_s, due)

    def _start_again(self, state: ProcessState) -> None:
        if not state._asked:
            self._start(state)

    def _start(self, state: ProcessState) -> None:
        spec = state.spec
        state.returncode = None
        # Output must not wait in the process until a buffer is full.
        environment = {"PYTHONUNBUFFERED": "1", **spec.environment}
        try:
            popen = subprocess.Popen(
                spec.command,
                env=environment,
                cwd=spec.directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._say(state.name, f"{spec.command[0]} could not be started: {error.strerror}")
            state.returncode = _COULD_NOT_START
            self._ended(state)
            return
        self._tell_reaper(f"+{popen.pid}")
        state._popen, state.pid = popen, popen.pid
        state._buffers = {"stdout": bytearray(), "stderr": bytearray()}
        for name, pipe in (("stdout", popen.stdout), ("stderr", popen.stderr)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, (state, name, pipe))
        self._say(state.name, f"process started with pid [{popen.pid}]")
        self._tell(state, lambda follower: follower.started(state))
        waiter = threading.Thread(
            target=self._await_exit, args=(state, popen), name=f"wait {state.name}", daemon=True
        )
        waiter.start()

    def _await_exit(self, state: ProcessState, popen: subprocess.Popen[bytes]) -> None:
        """Thread of each process: sleeps until it has ended."""
        if hasattr(os, "waitid"):
            # Leaves the zombie, so that its number stays taken until its group is cleaned up.
            os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
        else:
            popen.wait()
        self._post(lambda: self._exited(state, popen))

    def _exited(self, state: ProcessState, popen: subprocess.Popen[bytes]) -> None:
        # Whoever it has left behind in its group goes with it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, signal.SIGKILL)
        state.returncode = popen.wait()
        self._tell_reaper(f"-{popen.pid}")
        for name, pipe in (("stdout", popen.stdout), ("stderr", popen.stderr)):
            if pipe is not None and not pipe.closed:
                self._read(state, name, pipe)
                if not pipe.closed:
                    self._end_stream(state, name, pipe)
        state._popen = None
        self._ended(state)

    def _ended(self, state: ProcessState) -> None:
        """Decide what follows from a process's end."""
        spec, code = state.spec, state.returncode
        if code == 0:
            self._say(state.name, f"process has finished cleanly [pid {state.pid}]")
        elif code != _COULD_NOT_START or state.pid is not None:
            self._say(state.name, f"process has died [pid {state.pid}, exit code {code}]")
        if state.pid is not None:
            self._tell(state, lambda follower: follower.exited(state))
        if self.reason is not None:
            return
        if state is self._router and self._held is not None:
            # Perhaps somebody else's router took the port in the meantime.
            if all(map(is_reachable, spec.command[3:])):
                self._router_ready()
            else:
                self._failed.add(state)
                self._stop("the router did not start")
            return
        retries = spec.respawn_max_retries
        if spec.respawn and not state._asked and (retries < 0 or state.respawns < retries):
            state.respawns += 1
            self._later(spec.respawn_delay_s, lambda: self._start_again(state))
            return
        if code != 0 and not state._asked:
            self._failed.add(state)
        if spec.shutdown_on_exit:
            self._stop(f"{state.name} has ended")

    def _stop(self, reason: str) -> None:
        if self.reason is not None:
            return
        self.reason = reason
        self._say("launch", f"shutting down: {reason}")
        if self._follower is not None:
            self._guard(functools.partial(self._follower.stopping, reason))
        for state in reversed(self.processes):
            if state is not self._router:
                self._ask_to_stop(state)

    def _ask_to_stop(self, state: ProcessState) -> None:
        popen = state._popen
        state._asked = True
        if popen is None:
            return
        patience = state.spec.sigterm_timeout_s
        self._signal(state, popen, signal.SIGINT)
        # Some runtimes miss a signal that comes while they start.
        self._at(patience / 2, lambda: self._signal(state, popen, signal.SIGINT))
        self._at(patience, lambda: self._signal(state, popen, signal.SIGTERM, "SIGINT"))
        last = patience + state.spec.sigkill_timeout_s
        self._at(last, lambda: self._signal(state, popen, signal.SIGKILL, "SIGTERM"))

    def _signal(
        self,
        state: ProcessState,
        popen: subprocess.Popen[bytes],
        number: signal.Signals,
        ignored: str = "",
    ) -> None:
        if state._popen is not popen:
            return
        if ignored:
            self._say(state.name, f"did not end after {ignored}: sending {number.name}")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, number)

    def _kill_all(self) -> None:
        if self.reason is None:
            self.reason = "killed"
        self._router_asked = True
        for state in self.processes:
            if state._popen is not None:
                self._signal(state, state._popen, signal.SIGKILL)

    def _read(self, state: ProcessState, stream: str, pipe: IO[bytes]) -> None:
        while not pipe.closed:
            try:
                data = os.read(pipe.fileno(), _CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._end_stream(state, stream, pipe)
                return
            self._tell(state, functools.partial(_wrote, state, stream, data))
            buffer = state._buffers[stream]
            buffer += data
            *lines, rest = buffer.split(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines, rest = [*lines, rest], bytearray()
            state._buffers[stream] = bytearray(rest)
            for line in lines:
                self._line(state, stream, line)
            if len(data) < _CHUNK:
                return

    def _end_stream(self, state: ProcessState, stream: str, pipe: IO[bytes]) -> None:
        self._selector.unregister(pipe)
        pipe.close()
        if state._buffers[stream]:
            self._line(state, stream, state._buffers[stream])
            state._buffers[stream] = bytearray()

    def _line(self, state: ProcessState, stream: str, line: bytes | bytearray) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._emit(OutputLine(state.name, stream, text), state.spec.output)
        if state is self._router and router.READY in text:
            self._router_ready()

    def _say(self, name: str, text: str) -> None:
        self._emit(OutputLine(name, "launch", text), "screen")

    def _emit(self, line: OutputLine, output: str) -> None:
        if self._log_file is not None:
            self._log_file.write(f"{time.time():.6f} {line.formatted()}\n")
        # Like a real launch, "log" still shows what goes to standard error.
        if self._on_output is _print and output == "log" and line.stream == "stdout":
            return
        try:
            self._on_output(line)
        except Exception:
            _log.exception("the receiver of the launch's output has failed")

    def _tell_reaper(self, text: str) -> None:
        assert self._reaper.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.write(f"{text}\n".encode())
            self._reaper.stdin.flush()

    def _close(self) -> None:
        assert self._reaper.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.close()
        self._reaper.wait()
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()
        if self._log_file is not None:
            self._log_file.close()
        self._over.set()


def _wrote(state: ProcessState, stream: str, data: bytes, follower: Follower) -> None:
    follower.wrote(state, stream, data)


def _start_reaper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-S", "-E", reaper.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _open_log(folder: Path | None) -> IO[str] | None:
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / "launch.log").open("a", encoding="utf-8", buffering=1)


def _print(line: OutputLine) -> None:
    target: Any = sys.stderr if line.stream == "stderr" else sys.stdout
    target.write(line.formatted() + "\n")
    target.flush()
