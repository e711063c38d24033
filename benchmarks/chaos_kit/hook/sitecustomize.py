"""Loaded by every Python process of a chaos campaign: puts crash points around the lab's doings.

Nothing of it is in the lab's own code; without the environment variable it does nothing.
"""

from __future__ import annotations

import errno
import functools
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def _node_name() -> str:
    """This process's node, as its launch file named it; empty for other processes."""
    words = Path("/proc/self/cmdline").read_bytes().decode().split("\0")
    return next((word.partition(":=")[2] for word in words if word.startswith("__node:=")), "")


def _install(folder: Path, node: str) -> None:
    # The path of chaos_kit stands in PYTHONPATH beside that of this hook.
    from chaos_kit.crash_points import CrashPoint as At
    from chaos_kit.crash_points import Order, Orders

    orders = Orders(folder, node)

    def around(owner: Any, name: str, before: Any, after: Any) -> None:
        """Put crash points before and after a method; each a point, or a function of arguments."""
        inner = getattr(owner, name)

        def named(points: Any, arguments: tuple[Any, ...]) -> tuple[At, ...]:
            return points(*arguments) if callable(points) else points

        @functools.wraps(inner)
        def method(*arguments: Any, **options: Any) -> Any:
            orders.due(*named(before, arguments))
            result = inner(*arguments, **options)
            orders.due(*named(after, arguments))
            return result

        setattr(owner, name, method)

    def journal(module: ModuleType) -> None:
        from matlab_ros.lab.events import AttemptEnded, AttemptIntended

        inner = module.SqlJournal.append

        def names(events: Any, intent: At, outcome: At, other: At) -> tuple[At, ...]:
            found = [outcome for event in events if isinstance(event, AttemptEnded)]
            found += [intent for event in events if isinstance(event, AttemptIntended)]
            return tuple(found) or (other,)

        @functools.wraps(inner)
        def append(self: Any, campaign: str, ros_time_ns: int, events: Any, *rest: Any) -> Any:
            if events:
                points = names(events, At.BEFORE_INTENT, At.BEFORE_OUTCOME, At.BEFORE_OTHER)
                if orders.due(*points) is Order.FULL_DISK:
                    writing = self._session.connection.connection.driver_connection
                    writing.execute("PRAGMA max_page_count=1")
            result = inner(self, campaign, ros_time_ns, events, *rest)
            if events:
                orders.due(*names(events, At.AFTER_INTENT, At.AFTER_OUTCOME, At.AFTER_OTHER))
            return result

        module.SqlJournal.append = append

    def links(module: ModuleType) -> None:
        around(module.DeviceLink, "_send", (), (At.AFTER_SENDING,))

    def memory(module: ModuleType) -> None:
        kind = module.AttemptMemory

        def full(self: Any, *_: Any) -> tuple[At, ...]:
            if orders.due(At.BEFORE_NOTE) is Order.FULL_DISK:
                self._database.execute("PRAGMA max_page_count=1")
            return ()

        around(kind, "begin", (At.BEFORE_MEMORY,), (At.AFTER_MEMORY,))
        around(kind, "note", full, (At.AFTER_NOTE,))
        around(kind, "end", (At.BEFORE_END,), (At.AFTER_END,))

    def wires(module: ModuleType) -> None:
        def after(_self: Any, data: bytes) -> tuple[At, ...]:
            starts = (
                data.startswith((b"QRA 61 1", b"@SAMPLE@MEASURE"))
                # Modbus: write one register, the programmer's or the rail's command word.
                or (len(data) == 8 and data[1] == 6 and data[2:4] in (b"\x00\x17", b"\x16\x05"))
            )
            return (At.AFTER_COMMAND, At.AFTER_START) if starts else (At.AFTER_COMMAND,)

        for kind in (module.SerialTransport, module.TcpTransport):
            around(kind, "write", (At.BEFORE_COMMAND,), after)

    def robot(module: ModuleType) -> None:
        inner = module.ActionClient

        class Client(inner):
            """An action client that a crash point stands before and after."""

            def send_goal_async(self, *arguments: Any, **options: Any) -> Any:
                orders.due(At.BEFORE_MOTION)
                sent = super().send_goal_async(*arguments, **options)
                orders.due(At.AFTER_MOTION)
                return sent

        module.ActionClient = Client

    def station(module: ModuleType) -> None:
        inner = module.keep

        def keep(*arguments: Any) -> Any:
            if orders.due(At.BEFORE_FILE) is Order.FULL_DISK:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            kept = inner(*arguments)
            orders.due(At.AFTER_FILE)
            return kept

        module.keep = keep

    def planner(module: ModuleType) -> None:
        kind = module.PlannerNode
        around(kind, "_on_suggest", (At.BEFORE_SUGGESTION,), (At.AFTER_SUGGESTION,))
        around(kind, "_on_report", (At.BEFORE_REPORT,), (At.AFTER_REPORT,))

    patches: dict[str, Callable[[ModuleType], None]] = {
        "matlab_ros.nodes.attempt_memory": memory,
        "matlab_ros.instruments.transport": wires,
        "matlab_ros.nodes.robot_clients": robot,
        "matlab_ros.nodes.characterisation": station,
        "matlab_ros.nodes.planner": planner,
    }
    if node == "lab_manager":
        # Only there: other nodes may open a journal to read it.
        patches = {"matlab_ros.lab.journal": journal, "matlab_ros.nodes.lab_manager_devices": links}
    sys.meta_path.insert(0, _Patching(patches))


class _Patching(importlib.abc.MetaPathFinder):
    """Changes modules right after they were loaded."""

    def __init__(self, patches: dict[str, Callable[[ModuleType], None]]) -> None:
        self._patches = patches

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        patch = self._patches.get(name)
        if patch is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "MATLAB_ROS_CHAOS" in os.environ and _node_name():
    _install(Path(os.environ["MATLAB_ROS_CHAOS"]), _node_name())
