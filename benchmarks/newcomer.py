"""How long a newcomer takes from a clone to the page to a lab of one's own.

    python benchmarks/newcomer.py [--tree FOLDER] [--without-setup] [--experiments 8]

Types what docs/index.md tells a newcomer to type, in a folder of its own, and writes
benchmarks/results/newcomer.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "newcomer.md"
PATIENCE_S = 3600.0
LOOK_S = 0.2


@dataclass
class Steps:
    """What was done so far, and how long each step took."""

    rows: list[tuple[str, str, float]] = field(default_factory=list)

    def note(self, what: str, command: str, wall_s: float) -> None:
        """Add a step and say it."""
        self.rows.append((what, command, wall_s))
        print(f"{wall_s:7.1f} s  {what}", flush=True)

    def run(self, what: str, words: Sequence[str], cwd: Path, shown: str = "") -> None:
        """Time a command.

        Raises:
            SystemExit: it failed; its output is told.
        """
        began = time.monotonic()
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        self.note(what, shown or " ".join(words), time.monotonic() - began)


def wait_for_page(port: int, process: subprocess.Popen[bytes], began: float) -> float:
    """Seconds from `began` until the page is served.

    Raises:
        SystemExit: the lab ended before.
    """
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                if answer.status == 200:
                    return time.monotonic() - began
        except OSError:
            time.sleep(LOOK_S)
    sys.exit("the lab ended before its page was served")


def free_port() -> int:
    """A TCP port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def demo(path: Steps, program: str, tree: Path, results: Path, experiments: int) -> None:
    """The demo with its page: until the page is there, and until the report is."""
    port = free_port()
    words = [program, "demo", "--plain", "--experiments", str(experiments)]
    words += ["--results", str(results)]
    words += ["--set", "monitor:=true", "--set", f"monitor_port:={port}"]
    shown = f"matlab-ros demo --experiments {experiments} --set monitor:=true"
    began = time.monotonic()
    process = subprocess.Popen(words, cwd=tree, stdout=subprocess.DEVNULL)
    try:
        path.note("the page is served", shown, wait_for_page(port, process, began))
        rest = time.monotonic()
        if process.wait(PATIENCE_S) != 0:
            sys.exit(f"{shown} ended with {process.returncode}")
        path.note("until its report is written", "", time.monotonic() - rest)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def walk(options: argparse.Namespace, work: Path) -> Steps:
    """The whole path."""
    path = Steps()
    tree = options.tree
    if tree is None:
        tree = work / "matlab_ros"
        path.run("clone", ["git", "clone", "--quiet", str(ROOT), str(tree)], work, "git clone ...")
    if options.without_setup:
        program = str(Path(sys.executable).absolute().with_name("matlab-ros"))
    else:
        path.run("set up: a virtual environment, everything installed", ["make", "setup"], tree)
        program = str(tree / ".venv" / "bin" / "matlab-ros")
    if not shutil.which(program):
        sys.exit(f"there is no {program}")
    demo(path, program, tree, work / "results", options.experiments)
    path.run(
        "a lab of one's own is written", [program, "init", "mylab"], work, "matlab-ros init mylab"
    )
    lab = work / "mylab"
    path.run(
        "it is looked at",
        [program, "doctor", "labs/mylab.yaml"],
        lab,
        "matlab-ros doctor labs/mylab.yaml",
    )
    words = ["campaign", "campaigns/first.yaml", "--experiments", str(options.experiments)]
    path.run(
        "its first campaign, until the report",
        [program, *words, "--plain"],
        lab,
        " ".join(("matlab-ros", *words)),
    )
    if not list(lab.glob("results/*/report.html")):
        sys.exit("the first campaign left no report")
    return path


def table(path: Steps, options: argparse.Namespace, load: float) -> str:
    """The result file."""
    left_out = []
    if options.tree is not None:
        left_out.append("the clone (a tree that was there was used)")
    if options.without_setup:
        left_out.append("the installation")
    lines = [
        "## A newcomer's path",
        "",
        "From nothing to a lab of one's own, by the commands of docs/index.md, with "
        f"{options.experiments} experiments in each campaign. Reading and thinking take longer.",
        "",
        f"Python {platform.python_version()}, eclipse-zenoh {version('eclipse-zenoh')}; "
        f"{platform.machine()}, {os.cpu_count()} cores, load average {load:.1f} before.",
        "",
        "| step | typed | wall | since the beginning |",
        "|---|---|---|---|",
    ]
    total = 0.0
    for what, command, wall_s in path.rows:
        total += wall_s
        typed = f"`{command}`" if command else ""
        lines.append(f"| {what} | {typed} | {wall_s:.1f} s | {total:.0f} s |")
    if left_out:
        lines += ["", f"Left out: {', '.join(left_out)}."]
    if not options.without_setup:
        lines += ["", "How long the set-up takes is a matter of the network and of pip's cache."]
    if load > (os.cpu_count() or 1):
        lines += ["", "The machine was busy with other work: these figures are too large."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Walk the path and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, help="a tree that is there, instead of a clone")
    parser.add_argument(
        "--without-setup", action="store_true", help="use what this Python has installed"
    )
    parser.add_argument("--experiments", type=int, default=8, help="of each campaign (default: 8)")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        path = walk(options, Path(folder))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(table(path, options, load), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
