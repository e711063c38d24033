"""Both ROS packages are what colcon, rosdep and rosidl expect."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from matlab_ros import __version__
from pocket_ros.launch import interpret

MANIFESTS = ("package.xml", "matlab_ros_interfaces/package.xml")
INTERFACES = "matlab_ros_interfaces"
OF_ROS = re.compile(r"\w+_(msgs|srvs|interfaces)|rclpy|tf2_ros|ament_index_python|launch(_\w+)?")

# The patterns of rosidl, and the words that its generators' languages keep to themselves.
TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
FIELD_NAME = re.compile(r"(?!.*__)[a-z][a-z0-9_]*(?<!_)")
CONSTANT_NAME = re.compile(r"[A-Z]([A-Z0-9_]?[A-Z0-9]+)*")
KEYWORDS = set(keyword.kwlist) | {
    "auto", "bool", "case", "catch", "char", "const", "default", "delete", "do", "double",
    "enum", "explicit", "extern", "float", "goto", "inline", "int", "long", "mutable",
    "namespace", "new", "operator", "private", "protected", "public", "register", "short",
    "signed", "sizeof", "static", "struct", "switch", "template", "this", "throw", "typedef",
    "typename", "union", "unsigned", "using", "virtual", "void", "volatile", "xor",
}  # fmt: skip


def manifest(root: Path, name: str) -> ElementTree.Element:
    """The root of a package.xml."""
    return ElementTree.parse(root / name).getroot()


def dependencies(package: ElementTree.Element, *kinds: str) -> set[str]:
    """Names in its depend and the given elements."""
    return {element.text or "" for kind in ("depend", *kinds) for element in package.findall(kind)}


def ros_packages_imported(root: Path, folder: str) -> set[str]:
    """Packages of ROS that Python files below a folder import."""
    found = set()
    for path in (root / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            found |= {n.partition(".")[0] for n in names if OF_ROS.fullmatch(n.partition(".")[0])}
    return found


def interface_lines(root: Path) -> Iterator[tuple[Path, str, str, bool]]:
    """File, type, name and whether it is a constant, of every member of every interface."""
    for path in sorted((root / INTERFACES).glob("*/*.*")):
        for line in path.read_text(encoding="utf-8").splitlines():
            line = line.partition("#")[0].strip()
            if line and line != "---":
                kind, name = line.replace("=", " = ").split()[:2]
                yield path, kind, name, "=" in line


def test_versions_agree(root: Path, project: dict[str, Any]) -> None:
    versions = {manifest(root, name).findtext("version") for name in MANIFESTS}
    assert versions == {project["version"]} == {__version__}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_says_whom_to_ask_and_under_which_licence(root: Path, name: str) -> None:
    package = manifest(root, name)
    maintainers = package.findall("maintainer")
    assert maintainers
    for maintainer in maintainers:
        assert re.fullmatch(
            r"[-\w.+]+@[-a-zA-Z0-9]+(\.[-a-zA-Z0-9]+)+", maintainer.get("email", "")
        )
    assert package.findtext("license") == "Apache-2.0"


def test_ros_packages_that_nodes_import_are_dependencies(root: Path) -> None:
    declared = dependencies(manifest(root, "package.xml"), "exec_depend")
    assert ros_packages_imported(root, "matlab_ros") - declared == set()


def test_ros_packages_that_tests_import_are_dependencies(root: Path) -> None:
    declared = dependencies(manifest(root, "package.xml"), "exec_depend", "test_depend")
    # Interfaces that tests write for themselves.
    written = {"lab_interfaces"}
    assert ros_packages_imported(root, "test") - declared - written == set()


def test_interfaces_depend_on_the_packages_whose_types_they_use(root: Path) -> None:
    used = {kind.partition("/")[0] for _, kind, _, _ in interface_lines(root) if "/" in kind}
    used -= {INTERFACES}
    declared = dependencies(manifest(root, f"{INTERFACES}/package.xml"))
    assert used - declared == set()
    cmake = (root / INTERFACES / "CMakeLists.txt").read_text(encoding="utf-8")
    found = set(re.findall(r"find_package\((\w+) REQUIRED\)", cmake))
    [generated] = re.findall(r"DEPENDENCIES ([\w ]+)", cmake)
    assert used <= found
    assert used <= set(generated.split())


def test_interfaces_are_a_package_of_interfaces(root: Path) -> None:
    package = manifest(root, f"{INTERFACES}/package.xml")
    assert package.findtext("member_of_group") == "rosidl_interface_packages"
    assert "rosidl_default_generators" in dependencies(package, "buildtool_depend")
    assert "rosidl_default_runtime" in dependencies(package, "exec_depend")


def test_interface_names_are_those_that_rosidl_takes(root: Path) -> None:
    members = list(interface_lines(root))
    assert members
    for path, _, name, is_constant in members:
        assert path.suffix == f".{path.parent.name}"
        assert TYPE_NAME.fullmatch(path.stem), path
        pattern = CONSTANT_NAME if is_constant else FIELD_NAME
        assert pattern.fullmatch(name), f"{path}: {name}"
        assert name not in KEYWORDS, f"{path}: {name} is a word of C++ or Python"


def test_every_program_of_a_launch_file_is_a_console_script(
    root: Path, project: dict[str, Any]
) -> None:
    scripts = {s.partition(" = ")[0] for s in project["entry_points"]["console_scripts"]}
    files = sorted((root / "launch").iterdir())
    assert files
    for path in files:
        assert path.name.endswith(".launch.xml")
        for node in ElementTree.parse(path).iter("node"):
            if node.get("if") == "$(var rviz)":  # of a ROS 2 install
                continue
            assert node.get("pkg") == "matlab_ros", path
            assert node.get("exec") in scripts, path


def test_launch_files_ask_only_for_what_nobody_can_guess(root: Path) -> None:
    # Where the real instruments and the disk for their data are; a virtual lab asks for nothing.
    asked = {"lab.launch.xml": dict.fromkeys(("lab_file", "run_dir", "share_dir"), "/srv/lab")}
    for path in sorted((root / "launch").iterdir()):
        assert interpret(path, asked.get(path.name, {}), environ={}).processes(), path


def test_colcon_looks_into_both_packages(root: Path) -> None:
    defaults = yaml.safe_load((root / "colcon_defaults.yaml").read_text(encoding="utf-8"))
    for verb in ("build", "test", "list"):
        paths = defaults[verb]["paths"]
        assert sorted(f"{path}/package.xml".removeprefix("./") for path in paths) == sorted(
            MANIFESTS
        )


def test_colcon_finds_the_tests(project: dict[str, Any]) -> None:
    # It runs pytest for a Python package only if setup.py says that its tests want it.
    assert "pytest" in project["tests_require"]


def test_ament_finds_the_programs_and_the_package(root: Path, project: dict[str, Any]) -> None:
    name = project["name"]
    assert (root / "resource" / name).is_file()
    assert ("share/ament_index/resource_index/packages", [f"resource/{name}"]) in project[
        "data_files"
    ]
    assert f"$base/lib/{name}" in (root / "setup.cfg").read_text(encoding="utf-8")
