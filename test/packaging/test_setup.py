"""What pip and colcon install is all that the lab needs to run."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

PACKAGES = ("matlab_ros", "pocket_ros")
OLDEST_PYTHON = (3, 10)
LOCKED_FOR = ("3.10", "3.11", "3.12", "3.13")

DISTRIBUTIONS = {
    "ax": "ax-platform",
    "rxn_network": "reaction-network",
    "serial": "pyserial",
    "yaml": "pyyaml",
    "zenoh": "eclipse-zenoh",
}
"""Names on package indexes of modules that are called otherwise."""

OF_ROS = re.compile(r"\w+_(msgs|srvs|interfaces)|rclpy|tf2_ros|ament_index_python|launch(_\w+)?")
"""Modules that a ROS 2 or pocket_ros brings."""

FOR_DEVELOPERS = {Path("pocket_ros/idl/vendor.py")}
"""Files that no program imports: they make what is in the repository."""


def sources(root: Path, *folders: str) -> Iterator[tuple[Path, str]]:
    """Relative path and text of every Python file below the folders."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield path.relative_to(root), path.read_text(encoding="utf-8")


def third_party(root: Path, *folders: str) -> dict[str, set[str]]:
    """Modules of neither Python nor this repository nor ROS, each with the files that import it."""
    own = set(PACKAGES)
    found: dict[str, set[str]] = defaultdict(set)
    for path, text in sources(root, *folders):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            for name in (full.partition(".")[0] for full in names):
                if name not in sys.stdlib_module_names | own and not OF_ROS.fullmatch(name):
                    found[name].add(str(path))
    return found


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return name.lower().replace("_", "-").replace(".", "-")


def lock(root: Path, python: str) -> dict[str, Version]:
    """What requirements.lock pins for a Python on Linux."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
    }
    pinned = {}
    for line in (root / "requirements.lock").read_text(encoding="utf-8").splitlines():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            [specifier] = requirement.specifier
            assert specifier.operator == "==", line
            assert canonical(requirement.name) not in pinned, f"{line}: pinned twice on {python}"
            pinned[canonical(requirement.name)] = Version(specifier.version)
    return pinned


@pytest.mark.parametrize("python", LOCKED_FOR)
def test_lock_pins_every_requirement_within_its_range(
    root: Path, project: dict[str, Any], python: str
) -> None:
    pinned = lock(root, python)
    # Planners and simulators of others are for comparing: what they pin is not ours to follow.
    ours = set(project["extras_require"]) - {"planners", "mujoco", "robot-check"}
    extras = {name: project["extras_require"][name] for name in ours}
    lists = [project["install_requires"], *extras.values()]
    for text in (text for requirements in lists for text in requirements):
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"python_version": python}):
            continue
        version = pinned.get(canonical(requirement.name))
        assert version is not None, f"requirements.lock does not pin {requirement.name}"
        assert version in requirement.specifier, f"{text}, but locked is {version}"


def test_every_module_imported_is_a_requirement(root: Path, project: dict[str, Any]) -> None:
    # What an extra brings is imported only where it is asked for: certificates, the page's server.
    lists = [project["install_requires"], *project["extras_require"].values()]
    required = {canonical(Requirement(text).name) for texts in lists for text in texts}
    missing = {}
    for module, files in third_party(root, *PACKAGES).items():
        files = files - {str(path) for path in FOR_DEVELOPERS}
        if files and DISTRIBUTIONS.get(module, canonical(module)) not in required:
            missing[module] = sorted(files)
    assert not missing


def test_every_console_script_is_a_function_of_its_module(
    root: Path, project: dict[str, Any]
) -> None:
    for script in project["entry_points"]["console_scripts"]:
        _, _, target = script.partition(" = ")
        module, _, function = target.partition(":")
        path = root.joinpath(*module.split(".")).with_suffix(".py")
        assert path.is_file(), script
        functions = [
            node.name
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef)
        ]
        assert function in functions, script


def test_every_package_is_installed(root: Path, project: dict[str, Any]) -> None:
    folders = {path.parent for path, _ in sources(root, *PACKAGES)}
    assert {".".join(folder.parts) for folder in folders} == set(project["packages"])


def test_every_file_beside_the_code_is_installed(root: Path, project: dict[str, Any]) -> None:
    installed = {
        path
        for package, patterns in project["package_data"].items()
        for pattern in patterns
        for path in root.joinpath(*package.split(".")).glob(pattern)
        if path.is_file()
    }
    beside = {
        path
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".md")
        and "__pycache__" not in path.parts
        # What builds pocket_ros alone, and what that build leaves behind.
        and path.name != "pyproject.toml"
        and "build" not in path.parts
    }
    assert beside - installed == set()


def test_share_holds_everything_that_is_looked_up_there(
    root: Path, project: dict[str, Any]
) -> None:
    installed = {source for _, files in project["data_files"] for source in files}
    for folder in ("launch", "config", "urdf", "rviz", "matlab_ros_interfaces"):
        for path in (root / folder).rglob("*"):
            builds_with_ros = path.name in ("CMakeLists.txt", "package.xml")
            if path.is_file() and not builds_with_ros:
                assert str(path.relative_to(root)) in installed
    assert "package.xml" in installed


def test_code_is_python_of_the_oldest_version(root: Path) -> None:
    for path, text in sources(root, *PACKAGES, "test", "benchmarks"):
        ast.parse(text, str(path), feature_version=OLDEST_PYTHON)
