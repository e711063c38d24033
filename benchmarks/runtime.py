"""How fast pocket_ros carries messages, calls and goals between two processes.

    python benchmarks/runtime.py --short
    python benchmarks/runtime.py --setup /opt/ros/jazzy/setup.bash     # and beside it a real rclpy

The processes measure through rclpy's API only. With --setup they run once more in the environment
that this file makes, with its python3; without pocket_ros' hook, what that imports is the real
rclpy. RMW_IMPLEMENTATION chooses its middleware. Start it in a shell where no ROS 2 was sourced.
Writes benchmarks/results/runtime.md and prints the same.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "runtime.md"
WORKER = HERE / "runtime_worker.py"
# Medians of a real rclpy 7.1 (Jazzy) on a machine of two cores.
QUOTED_MS = {
    "topic, String": 0.15,
    "service": 0.19,
    "action, goal to result": 3.1,
}


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    round_trips: int
    goals: int
    stream_sec: float
    large_sec: float
    starts: int


SHORT = Plan(round_trips=300, goals=50, stream_sec=5.0, large_sec=2.0, starts=3)
FULL = Plan(round_trips=2000, goals=300, stream_sec=60.0, large_sec=10.0, starts=10)


class Worker:
    """Another process: it is told what to do and answers in lines of JSON."""

    def __init__(self, python: str, environment: dict[str, str], *arguments: str) -> None:
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [python, str(WORKER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def answer(self) -> dict[str, float]:
        """The next result; SystemExit if the process ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self._process.args))} ended without a result")
        return dict(json.loads(line))

    def stop(self) -> None:
        """End it; a node of a real rclpy may sleep through a signal."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Runtime:
    """One interpreter with its rclpy."""

    def __init__(self, name: str, python: str, environment: dict[str, str]) -> None:
        self.name = name
        self._python = python
        self._environment = environment

    @contextmanager
    def worker(self, *arguments: object) -> Iterator[Worker]:
        """Run a worker for a while."""
        worker = Worker(self._python, self._environment, *map(str, arguments))
        try:
            yield worker
        finally:
            worker.stop()

    def measure(self, plan: Plan) -> dict[str, str]:
        """All rows of the table."""
        rows: dict[str, str] = {}
        with self.worker("echo") as echo:
            echo.answer()
            for name, count in (
                ("topic, String", plan.round_trips),
                ("topic, JointState", plan.round_trips),
                ("service", plan.round_trips),
                ("action, goal to acceptance", plan.goals),
                ("action, goal to result", plan.goals),
            ):
                with self.worker("round_trips", name, count) as caller:
                    rows[f"{name} / ms"] = spread(caller.answer())
        rows |= self._stream("1 kHz JointState", "joints", 1000.0, plan.stream_sec)
        rows |= self._stream("100 Hz 1 MB", "large", 100.0, plan.large_sec)
        rows["20 nodes in 4 processes known / s"] = self._discovery()
        empty = [self._start() for _ in range(plan.starts)]
        empty.sort()
        rows["empty node up / s"] = f"{empty[len(empty) // 2][0]:.2f} (min {empty[0][0]:.2f})"
        rows["empty node, memory / MB"] = f"{max(memory for _, memory in empty):.0f}"
        return rows

    def _stream(self, title: str, kind: str, rate: float, seconds: float) -> dict[str, str]:
        with self.worker("receive", kind) as receiver:
            receiver.answer()
            with self.worker("send", kind, rate, seconds) as sender:
                sent = sender.answer()
                got = receiver.answer()
        lost = sent["count"] - got["count"]
        return {
            f"{title}, lost": f"{lost:.0f} of {sent['count']:.0f}",
            f"{title}, latency / ms": spread(got),
            f"{title}, CPU of a core": f"{sent['cpu']:.0%} sender, {got['cpu']:.0%} receiver",
        }

    def _discovery(self) -> str:
        with self.worker("watch", 20) as watcher:
            watcher.answer()
            with ExitStack() as stack:
                crowds = [stack.enter_context(self.worker("nodes", 5, n)) for n in range(4)]
                created = max(crowd.answer()["created"] for crowd in crowds)
                seen = watcher.answer()["seen"]
        return f"{max(0.0, seen - created):.3f} after the last was made"

    def _start(self) -> tuple[float, float]:
        with self.worker("empty") as worker:
            memory = worker.answer()["memory"]
            return time.monotonic() - worker.started, memory


def spread(values: dict[str, float]) -> str:
    """Median, 99th percentile and greatest of what a worker measured."""
    return f"{values['p50']:.2f} (p99 {values['p99']:.2f}, max {values['max']:.1f})"


def own_runtime() -> tuple[Runtime, subprocess.Popen[str] | None]:
    """pocket_ros in this interpreter, with a router of its own; the real rclpy if there is one."""
    sys.path.insert(0, str(HERE.parent))
    from pocket_ros.router import ensure_router, private_environment

    if os.environ.get("AMENT_PREFIX_PATH"):
        environment = dict(os.environ)
        return Runtime(real_name(sys.executable, environment), sys.executable, environment), None
    environment = private_environment()
    environment["POCKET_ROS_BENCHMARK"] = "1"
    environment["ROS_DOMAIN_ID"] = "91"
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(HERE.parent), environment.get("PYTHONPATH")])
    )
    router = ensure_router(environment)
    assert router is not None
    return Runtime("pocket_ros", sys.executable, environment), router.process


def real_runtime(setup: Path) -> Runtime:
    """The rclpy of the environment that a setup file makes; SystemExit if there is none."""
    code = "import json, os, sys; print(json.dumps([sys.executable, dict(os.environ)]))"
    done = subprocess.run(
        ["bash", "-c", '. "$0" >&2; exec python3 -c "$1"', str(setup), code],
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{setup} cannot be sourced by bash")
    python, environment = json.loads(done.stdout)
    environment |= {"ROS_DOMAIN_ID": "91", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    return Runtime(real_name(python, environment), python, environment)


def real_name(python: str, environment: dict[str, str]) -> str:
    """Say which rclpy an interpreter has; SystemExit if none."""
    code = (
        "import importlib.metadata as m, os, rclpy;"
        "print('rclpy', m.version('rclpy'), os.environ.get('RMW_IMPLEMENTATION', 'default RMW'))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{python} cannot import rclpy there:\n{done.stderr}")
    return done.stdout.strip()


def table(columns: list[tuple[str, dict[str, str]]], plan: Plan, load: list[float]) -> str:
    """The section as Markdown."""
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}" for package in ("eclipse-zenoh", "numpy")
    )
    names = [name for name, _ in columns] + ["rclpy 7.1, quoted"]
    lines = [
        "## Runtime",
        "",
        "Two processes, single-threaded executors, medians. Memory is the resident set. CPU is "
        "of the whole process, executor, serialisation and Zenoh together. The last column was "
        "measured on a real rclpy 7.1 (Jazzy) at another time and is quoted.",
        "",
        f"Python {platform.python_version()}, {versions}; {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores; load average {load[0]:.1f} before and "
        f"{load[1]:.1f} after; {plan.round_trips} round trips, {plan.goals} goals, "
        f"{plan.stream_sec:g} s at 1 kHz.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for row in columns[0][1]:
        quoted = QUOTED_MS.get(row.removesuffix(" / ms"))
        cells = [rows.get(row, "") for _, rows in columns] + [f"{quoted:.2f}" if quoted else ""]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a minute instead of several")
    parser.add_argument(
        "--setup",
        action="append",
        type=Path,
        default=[],
        help="setup file of a ROS 2 install, whose rclpy is measured beside; may be repeated",
    )
    arguments = parser.parse_args()
    plan = SHORT if arguments.short else FULL
    load = [os.getloadavg()[0]]
    own, router = own_runtime()
    try:
        others = [real_runtime(path) for path in arguments.setup]
        columns = [(runtime.name, runtime.measure(plan)) for runtime in (own, *others)]
    finally:
        if router is not None:
            router.terminate()
            router.wait()
    load.append(os.getloadavg()[0])
    section = table(columns, plan, load)
    print(section)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(section, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
