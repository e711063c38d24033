"""Starting a whole lab from its launch file as a child of this process, and ending it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from matlab_ros.model.errors import LabError

STARTED = re.compile(rb"\[(?!router\])[^\]]+\]: process started with pid")
"""What launchers write for each process of the launch file, which a router of theirs is not."""

_DIED = re.compile(r"\[([^\]]+)\]: process has died")

LAST_WORDS = 5
LOOK_S = 0.05
INTERRUPT_S = 20.0
TERMINATE_S = 5.0


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def launcher() -> tuple[list[str], dict[str, str]]:
    """Command that launches files on this machine, and the environment of a graph of its own.

    A virtual lab has a graph of its own, so that it can never meet the nodes of a real one. With a
    ROS 2 install this is a domain on this host alone; without one a router at a port of its own.
    """
    installed = shutil.which("ros2")
    if installed is not None:
        domain = str(1 + os.getpid() % 100)
        own = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        if "ROS_DOMAIN_ID" not in os.environ:
            own["ROS_DOMAIN_ID"] = domain
        return [installed, "launch"], own
    command = [sys.executable, "-m", "pocket_ros.cli", "launch"]
    if "ZENOH_CONFIG_OVERRIDE" in os.environ:
        return command, {}
    endpoint = f'connect/endpoints=["tcp/127.0.0.1:{free_port()}"]'
    return command, {"ZENOH_CONFIG_OVERRIDE": endpoint}


def last_words(log: str) -> list[str]:
    """What the process said last that died first; the log's end where none did."""
    lines = log.splitlines()
    died = _DIED.search(log)
    said = [line for line in lines if died and line.startswith(f"[{died[1]}] ")]
    return (said or lines)[-LAST_WORDS:]


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """In the launcher, before it begins: be told to end when this process is killed.

    Linux sends the signal when the thread that started the launcher ends, which is the main one.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class LabProcesses:
    """The processes of one launch file; a context manager that ends them.

    Args:
        launch_file: to be launched.
        arguments: of the launch file.
        log: file that takes what all of them print.
        environment: added to this process's own.
        command: that launches files, see `launcher`.
    """

    def __init__(
        self,
        launch_file: Path,
        arguments: Mapping[str, str],
        log: Path,
        command: list[str],
        environment: Mapping[str, str],
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._output = log.open("ab")
        self._process = subprocess.Popen(
            [*command, str(launch_file), *(f"{key}:={value}" for key, value in arguments.items())],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    @property
    def pid(self) -> int:
        """Of the launcher."""
        return self._process.pid

    def check(self) -> None:
        """Make sure that the lab still runs.

        Raises:
            LabError: its launcher ended; what the process said that died first is in the sentence.
        """
        code = self._process.poll()
        if code is None:
            return
        self._output.flush()
        words = last_words(self.log.read_text(encoding="utf-8", errors="replace"))
        raise LabError(
            f"the lab's processes ended with code {code}; see {self.log}:\n  " + "\n  ".join(words)
        )

    def wait_until_started(self, patience_s: float) -> None:
        """Wait until the launcher says that it has started the first process.

        Raises:
            LabError: it ended, or did not within `patience_s`.
        """
        limit = time.monotonic() + patience_s
        while not STARTED.search(self.log.read_bytes()):
            self.check()
            if time.monotonic() > limit:
                raise LabError(f"no process was started within {patience_s:g} s; see {self.log}")
            self._wait(LOOK_S)

    def _wait(self, seconds: float) -> None:
        """Let some time pass, unless the launcher ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def stop(self) -> None:
        """End all processes: interrupt, terminate, kill, each with its deadline."""
        for number, patience in (
            (signal.SIGINT, INTERRUPT_S),
            (signal.SIGTERM, TERMINATE_S),
            (signal.SIGKILL, TERMINATE_S),
        ):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        self._output.close()

    def __enter__(self) -> LabProcesses:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
