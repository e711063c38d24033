"""``matlab-ros doctor``: looks at a lab before it is started, and says in words what to do."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from matlab_ros import __version__
from matlab_ros.instruments.wire_check import REPLY_S, check_wires, wires_of
from matlab_ros.model.lab_config import DeviceKind, LabConfig, load_lab

OLDEST_PYTHON = (3, 10)
PACKAGES = ("numpy", "scipy", "pyserial", "pydantic", "SQLAlchemy", "PyYAML", "torch", "botorch")
LEAST_BYTES, LITTLE_BYTES = 1e9, 10e9
GRAPH_S = 10.0
SOON = timedelta(days=30)
BUILT_AFTER = date(2024, 1, 1)
"""A clock before it was never set."""
_MARKS = {"fine": "ok     ", "note": "note   ", "problem": "PROBLEM"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: "fine", "note" or "problem".
        subject: what was looked at.
        sentence: what was found.
        advice: what to do; empty where nothing is.
    """

    level: str
    subject: str
    sentence: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command ``doctor``."""
    parser.add_argument("lab", type=Path, help="the lab's file, YAML")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(),
        help="where results are written (default: the present folder)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=REPLY_S,
        metavar="SECONDS",
        help="for one answer of an instrument",
    )
    parser.add_argument(
        "--graph",
        type=float,
        nargs="?",
        const=GRAPH_S,
        metavar="SECONDS",
        help="look at the devices of a lab that is up, too: who is there, versions, clocks "
        f"(listens for {GRAPH_S:g} s at most)",
    )
    parser.add_argument("--json", action="store_true", help="findings for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look at everything and print it.

    Returns:
        0, or 1 where there is a problem.

    Raises:
        ConfigError: the lab's file cannot be read.
    """
    lab = load_lab(options.lab)
    if options.graph is None:
        findings = list(examine(lab, options.folder, options.patience))
    else:
        findings = [*_computer(options.folder), *_graph(lab, options.graph)]
    problems = sum(finding.level == "problem" for finding in findings)
    if options.json:
        found = [asdict(finding) for finding in findings]
        print(json.dumps({"problems": problems, "findings": found}, indent=2))
        return 1 if problems else 0
    for finding in findings:
        print(f"{_MARKS[finding.level]} {finding.subject}: {finding.sentence}")
        if finding.advice:
            print(f"        -> {finding.advice}")
    print(f"{problems} problem(s) found" if problems else "no problems found")
    return 1 if problems else 0


def examine(lab: LabConfig, folder: Path, patience_s: float) -> Iterator[Finding]:
    """Everything about a lab that is not up, from this computer outwards."""
    yield from _computer(folder)
    yield from check_calibrations(lab, datetime.now(timezone.utc).date())
    wires = wires_of(lab)
    if not wires:
        yield Finding(
            "note",
            "cables",
            f"{lab.name} names no ports, so no instrument was asked",
            "write them into the lab's file, such as `ports: {controller: /dev/ttyUSB0}`",
        )
    for found in check_wires(wires, deadline_s=patience_s):
        level = "fine" if found.is_fine else "problem"
        yield Finding(level, found.wire.title, found.sentence, found.advice)


def _computer(folder: Path) -> Iterator[Finding]:
    """What concerns this computer alone."""
    yield from _versions()
    yield _disk(folder)
    yield from _clock(datetime.now(timezone.utc).date())


def _graph(lab: LabConfig, patience_s: float) -> Iterator[Finding]:
    """A lab that is up, whose instruments are its nodes' to ask."""
    from matlab_ros.doctor_graph import check_graph
    from matlab_ros.nodes.graph_check import listen

    yield from check_graph(lab, listen(lab, patience_s))


def _versions() -> Iterator[Finding]:
    ours = f"matlab_ros {__version__}, Python {platform.python_version()}"
    if sys.version_info < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        yield Finding("problem", "versions", ours, f"install Python {wanted} or later")
    else:
        yield Finding("fine", "versions", ours)
    for name in PACKAGES:
        try:
            yield Finding("fine", "versions", f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding("problem", "versions", f"{name} is missing", f"pip install {name}")


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "problem", "disk", f"{folder} cannot be used ({error.strerror})", "name another folder"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            "problem",
            "rights",
            f"you may not write to {folder.resolve()}, where results go",
            "name another folder, or become its owner: sudo chown $USER",
        )
    sentence = f"{free / 1e9:.1f} GB free at {folder.resolve()}"
    if free < LEAST_BYTES:
        return Finding("problem", "disk", sentence, "make room: the journal must never stop")
    if free < LITTLE_BYTES:
        return Finding("note", "disk", sentence, "make room before a long campaign")
    return Finding("fine", "disk", sentence)


def _clock(today: date) -> Iterator[Finding]:
    if today < BUILT_AFTER:
        yield Finding("problem", "clock", f"it is {today} here", "set the clock: timedatectl")
        return
    command = shutil.which("timedatectl")
    said = ""
    if command is not None:
        # Where nobody runs systemd it says nothing, and there is nothing to be known.
        said = subprocess.run(
            [command, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
    if said == "no":
        yield Finding(
            "problem",
            "clock",
            "this computer's clock is not synchronised, so times of machines differ",
            "sudo timedatectl set-ntp true",
        )
    elif said == "yes":
        yield Finding("fine", "clock", "synchronised")
    else:
        yield Finding("note", "clock", "nobody here says whether it is synchronised")


def check_calibrations(lab: LabConfig, today: date) -> Iterator[Finding]:
    """Balances and thermocouples without a certificate that counts."""
    for device in lab.devices:
        if device.kind not in (DeviceKind.DISPENSER, DeviceKind.FURNACE):
            continue
        subject = f"{device.name}'s calibration"
        found = device.calibration
        if found is None:
            yield Finding(
                "note",
                subject,
                "there is none, so each of its readings is marked",
                "write `calibration:` with the certificate into the lab's file",
            )
        elif not found.is_valid(today):
            yield Finding(
                "problem",
                subject,
                f"{found.certificate_id} ended on {found.valid_until}; readings are marked",
                "have it calibrated, and write the new certificate into the lab's file",
            )
        elif found.valid_until - today < SOON:
            yield Finding(
                "note",
                subject,
                f"{found.certificate_id} ends on {found.valid_until}",
                "have it calibrated before",
            )
        else:
            yield Finding(
                "fine", subject, f"{found.certificate_id}, valid until {found.valid_until}"
            )
