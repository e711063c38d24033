"""Finding processes by action, name or arguments."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Protocol

from pocket_ros.launch_api.launch.actions import ExecuteProcess

__all__ = ["NO_CMD_ARGS", "KeepAliveProc", "NoMatchingProcessException", "resolveProcesses"]

NO_CMD_ARGS: Any = object()
"""As `cmd_args`: a process without arguments."""


class NoMatchingProcessException(Exception):
    """No process that is known so far is meant."""


class KnowsProcesses(Protocol):
    """What is searched."""

    def processes(self) -> Iterable[Any]:
        """Actions of the processes known so far."""


def KeepAliveProc() -> ExecuteProcess:
    """A process that ends only with the launch."""
    script = "import signal\ntry:\n    signal.pause()\nexcept KeyboardInterrupt:\n    pass\n"
    return ExecuteProcess(cmd=[sys.executable, "-c", script])


def resolveProcesses(
    info_obj: KnowsProcesses,
    *,
    process: Any = None,
    cmd_args: Any = None,
    strict_proc_matching: bool = True,
) -> list[Any]:
    """Actions of the processes that are meant.

    Args:
        info_obj: what is searched, `proc_info` or `proc_output`.
        process: an action, a part of a process's name, or None for all.
        cmd_args: with a name: arguments that the process must have, or NO_CMD_ARGS.
        strict_proc_matching: a name must mean one process only.

    Raises NoMatchingProcessException if there is none, and Exception if a name is not clear.
    """
    known = list(info_obj.processes())
    if process is None:
        if not known:
            raise NoMatchingProcessException("No data recorded for any process")
        return known
    if isinstance(process, ExecuteProcess):
        if process not in known:
            raise NoMatchingProcessException(f"No data recorded for proc {_describe(process)}")
        return [process]
    if not isinstance(process, str):
        raise TypeError(f"'process' must be an ExecuteProcess or a name, not {process!r}")
    words = [cmd_args] if isinstance(cmd_args, str) else cmd_args
    found = [one for one in known if process in one.process_details["name"] and _has(one, words)]
    names = ", ".join(sorted(map(_describe, known)))
    if not found:
        raise NoMatchingProcessException(
            f"Did not find any processes matching name '{process}' and args '{words}'. "
            f"Procs: {names}"
        )
    if strict_proc_matching and len(found) > 1:
        raise Exception(
            f"Found multiple processes matching name '{process}' and cmd_args '{words}'. "
            f"Procs: {names}"
        )
    return found


def _has(action: Any, words: Any) -> bool:
    if words is None:
        return True
    arguments = action.process_details["cmd"][1:]
    if words is NO_CMD_ARGS:
        return not arguments
    return all(word in arguments for word in words)


def _describe(action: Any) -> str:
    if action.process_details is None:
        return "a process that has not been started"
    return " ".join([action.process_details["name"], *action.process_details["cmd"][1:]])
