"""Which room may import which: the dependency rule of the house."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "matlab_ros"

MAY_IMPORT = {
    "model": set(),
    "chemistry": {"model"},
    "planning": {"model", "chemistry"},
    "xrd": {"model", "chemistry"},
    "robot": {"model", "chemistry"},
    "instruments": {"model", "chemistry"},
    "lab": {"model", "chemistry"},
    "virtual": {"model", "chemistry", "xrd"},
    "monitor": {"model", "chemistry", "lab", "xrd"},
    "nodes": {
        *("model", "chemistry", "planning", "xrd", "robot"),
        *("instruments", "lab", "virtual", "monitor"),
    },
}
"""Rooms of matlab_ros that each room may import besides itself."""

ROS = {"rclpy", "matlab_ros_interfaces", "tf2_ros", "launch", "launch_ros"}
ROS_MESSAGES = ("_msgs", "_srvs", "_interfaces")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                continue
            module = node.module or ""
            yield node.lineno, module
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def files(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"no Python files below {folder}"
    return found


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files(LAB / room)
        for line, name in imported(path)
        if name.startswith("matlab_ros.")
        and name.split(".")[1] in MAY_IMPORT
        and name.split(".")[1] not in allowed
    ]
    assert not wrong


@pytest.mark.parametrize("room", sorted(set(MAY_IMPORT) - {"nodes"}))
def test_only_nodes_know_ros(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files(LAB / room)
        for line, name in imported(path)
        if name.split(".")[0] in ROS or name.split(".")[0].endswith(ROS_MESSAGES)
    ]
    assert not wrong


def test_only_one_place_switches_pocket_ros_on() -> None:
    users = {
        str(path.relative_to(LAB))
        for path in files(LAB)
        for _, name in imported(path)
        if name.split(".")[0] == "pocket_ros"
    }
    assert users == {"nodes/__init__.py"}


def test_pocket_ros_knows_nothing_of_the_lab() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files(ROOT / "pocket_ros")
        for line, name in imported(path)
        if name.split(".")[0] in {"matlab_ros", "matlab_ros_interfaces"}
    ]
    assert not wrong


def test_imports_in_the_lab_are_absolute() -> None:
    """So that the rules above see all of them."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in files(LAB)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong


def test_nobody_sleeps_or_reads_the_wall_clock_in_lab_and_nodes() -> None:
    """Time is ROS time; only heartbeats and wire deadlines count steady time."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for room in ("lab", "nodes", "planning")
        for path in files(LAB / room)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("time", "sleep"), ("time", "time"), ("time", "time_ns")}
    ]
    assert not wrong
