"""The lab's description: written from its file, fresh, right in every place, and loadable."""

from __future__ import annotations

import functools
import math
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.lab_config import (
    LabConfig,
    StationKind,
    load_lab,
    position_frame,
    position_points,
)
from matlab_ros.robot.description import SDF_FILE, XACRO_FILE, lab_xacro
from matlab_ros.robot.scene import lid_hinge, station_solids
from matlab_ros.robot.sdf_world import lab_sdf

ROOT = Path(__file__).parents[2]
SDF_ELEMENTS = Path("/usr/share/sdformat12/1.9")
"""Debian's libsdformat-dev."""


@pytest.fixture(scope="module")
def lab() -> LabConfig:
    return load_lab(ROOT / "config" / "labs" / "virtual_lab.yaml")


def _urdf(**arguments: str) -> str:
    xacro = pytest.importorskip("xacro", reason="xacro is not installed")
    return str(xacro.process_file(str(ROOT / XACRO_FILE), mappings=arguments).toxml())


def _numbers(text: str | None) -> list[float]:
    return [float(word) for word in (text or "0 0 0").split()]


def test_the_files_are_those_that_the_lab_gives(lab: LabConfig) -> None:
    again = "run python -m matlab_ros.robot.description config/labs/virtual_lab.yaml"
    assert (ROOT / XACRO_FILE).read_text(encoding="utf-8") == lab_xacro(lab), again
    assert (ROOT / SDF_FILE).read_text(encoding="utf-8") == lab_sdf(lab), again


def test_every_position_is_a_frame_at_its_place(lab: LabConfig) -> None:
    robot = ElementTree.fromstring(_urdf())
    joints = {joint.find("child").get("link"): joint for joint in robot.findall("joint")}
    for position, point in position_points(lab).items():
        joint = joints[position_frame(position)]
        assert joint.get("type") == "fixed"
        assert joint.find("parent").get("link") == "map"
        assert _numbers(joint.find("origin").get("xyz")) == pytest.approx(point, abs=1e-6)


def test_every_station_and_lid_is_drawn_where_the_planner_keeps_off(lab: LabConfig) -> None:
    robot = ElementTree.fromstring(_urdf())
    links = {link.get("name"): link for link in robot.findall("link")}
    joints = {joint.find("child").get("link"): joint for joint in robot.findall("joint")}
    for station in lab.stations:
        for solid in station_solids(station, lid_open=False):
            name = solid.name.replace("/", "_").replace(" ", "_")
            box = links[name].find("collision")
            place = np.array(_numbers(joints[name].find("origin").get("xyz")))
            place = place + _numbers(box.find("origin").get("xyz"))
            assert place == pytest.approx(solid.centre_m, abs=2e-6)
            size = _numbers(box.find("geometry/box").get("size"))
            assert size == pytest.approx(solid.size_m, abs=2e-6)


def test_a_lid_turned_by_a_quarter_is_the_open_one(lab: LabConfig) -> None:
    turned = lab.station("furnace_1").model_copy(
        update={"base_pose": (4.6, 0.64, math.pi)}
    )  # served from another side
    for station in (*lab.stations, turned):
        if station.kind is not StationKind.FURNACE:
            continue
        hinge = lid_hinge(station)
        closed, opened = (station_solids(station, is_open)[-1] for is_open in (False, True))
        point, axis = np.array(hinge.point_m), np.array(hinge.axis)
        corners = np.array([closed.lower_m, closed.upper_m]) - point
        along = np.outer(corners @ axis, axis)
        moved = point + along + np.cross(axis, corners)
        assert moved.min(axis=0) == pytest.approx(opened.lower_m, abs=1e-9)
        assert moved.max(axis=0) == pytest.approx(opened.upper_m, abs=1e-9)


def test_containers_are_where_the_lab_has_them_at_the_start(lab: LabConfig) -> None:
    robot = ElementTree.fromstring(_urdf(containers="true"))
    joints = {joint.find("child").get("link"): joint for joint in robot.findall("joint")}
    world = ElementTree.parse(ROOT / SDF_FILE).getroot().find("world")
    models = {model.get("name"): model for model in world.findall("model")}
    points = position_points(lab)
    for name, position in lab.container_homes().items():
        assert joints[name].get("type") == "floating"
        place = _numbers(joints[name].find("origin").get("xyz"))
        assert place == pytest.approx(points[position], abs=1e-6)
        pose = _numbers(models[name].find("pose").text)
        assert pose == pytest.approx([*points[position], 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("containers", ["false", "true"])
def test_check_urdf_accepts_the_lab(tmp_path: Path, containers: str) -> None:
    tool = shutil.which("check_urdf")
    if tool is None:
        pytest.skip("check_urdf is not installed (Debian: liburdfdom-tools)")
    file = tmp_path / "lab.urdf"
    file.write_text(_urdf(containers=containers), encoding="utf-8")
    done = subprocess.run([tool, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mujoco_loads_the_lab_and_has_every_frame_in_its_place(
    lab: LabConfig, tmp_path: Path
) -> None:
    mujoco = pytest.importorskip("mujoco", reason="mujoco is not installed")
    file = tmp_path / "lab.urdf"
    file.write_text(_urdf(mujoco="true"), encoding="utf-8")
    model = mujoco.MjModel.from_xml_path(str(file))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for position, point in position_points(lab).items():
        assert data.body(position_frame(position)).xpos == pytest.approx(point, abs=1e-6)
    lids = [s for s in lab.stations if s.kind is StationKind.FURNACE]
    assert model.nq == 3 + 6 + 2 + len(lids)


def test_pinocchio_loads_the_lab(lab: LabConfig) -> None:
    pinocchio = pytest.importorskip("pinocchio", reason="pinocchio is not installed")
    model = pinocchio.buildModelFromXML(_urdf())
    assert all(model.existFrame(position_frame(name)) for name in position_points(lab))


def test_the_world_is_made_of_primitives_and_loads_offline() -> None:
    text = (ROOT / SDF_FILE).read_text(encoding="utf-8")
    assert not re.search(r"<(mesh|uri|include)|://", text)
    root = ElementTree.fromstring(text)
    assert root.get("version") == "1.9"
    names = [model.get("name") for model in root.find("world").findall("model")]
    assert len(names) == len(set(names))
    for link in root.iter("link"):
        parts = [part.get("name") for part in link if part.tag in ("collision", "visual")]
        assert len(parts) == len(set(parts))


def test_gazebos_own_tool_accepts_the_world() -> None:
    tool = shutil.which("ign")
    if tool is None:
        pytest.skip("ign is not installed (Debian: ignition-tools, libsdformat-dev)")
    done = subprocess.run(
        [tool, "sdf", "--check", str(ROOT / SDF_FILE)], capture_output=True, text=True, timeout=60
    )
    assert "Valid" in done.stdout, done.stdout + done.stderr
    assert "Error" not in done.stderr.replace("Library error", "")


@functools.cache
def _described(file: str) -> ElementTree.Element:
    return ElementTree.parse(SDF_ELEMENTS / file).getroot()


def _misspelt(element: ElementTree.Element, described: ElementTree.Element, path: str) -> list[str]:
    """What of an element the format does not know: the tool passes it without a word."""
    children: dict[str, ElementTree.Element] = {}
    attributes = {part.get("name") for part in described.findall("attribute")}
    wrong = [f"{path}: attribute {name}" for name in element.attrib if name not in attributes]
    for part in described:
        if part.tag == "element":
            if part.get("copy_data") is not None:
                return wrong
            children[part.get("name", "")] = part
        elif part.tag == "include":
            other = _described(part.get("filename", ""))
            children[other.get("name", "")] = other
    for child in element:
        if not isinstance(child.tag, str):
            continue
        if child.tag in children:
            wrong += _misspelt(child, children[child.tag], f"{path}/{child.tag}")
        else:
            wrong.append(f"{path}: element {child.tag}")
    return wrong


def test_no_element_of_the_world_is_misspelt() -> None:
    if not SDF_ELEMENTS.is_dir():
        pytest.skip("the format's description is not installed (Debian: libsdformat-dev)")
    root = ElementTree.parse(ROOT / SDF_FILE).getroot()
    assert not _misspelt(root, _described("root.sdf"), "sdf")
