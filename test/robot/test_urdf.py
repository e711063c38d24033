"""The robot's description expands, loads, and says what the planner and the virtual robot say."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from transforms3d.affines import compose
from transforms3d.axangles import axangle2mat
from transforms3d.euler import euler2mat

from matlab_ros.robot.mobile_arm import (
    ARM_JOINTS,
    BASE_JOINTS,
    FINGER_JOINTS,
    MOBILE_ARM,
    MotionLimits,
)
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.reach import tool_frames

xacro = pytest.importorskip("xacro", reason="xacro is not installed")

ROOT = Path(__file__).parents[2]
FILE = ROOT / "urdf" / "mobile_arm.urdf.xacro"


@pytest.fixture(scope="module")
def urdf() -> str:
    return str(xacro.process_file(str(FILE)).toxml())


@pytest.fixture(scope="module")
def robot(urdf: str) -> ElementTree.Element:
    return ElementTree.fromstring(urdf)


def _numbers(text: str | None, default: str = "0 0 0") -> np.ndarray:
    return np.array([float(word) for word in (text or default).split()])


def _joints(robot: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {joint.get("name", ""): joint for joint in robot.findall("joint")}


def _frame(robot: ElementTree.Element, link: str, state: dict[str, float]) -> np.ndarray:
    """Pose of a link in the root, from the URDF alone."""
    frame = np.eye(4)
    by_child = {joint.find("child").get("link"): joint for joint in robot.findall("joint")}
    while link in by_child:
        joint = by_child[link]
        origin = joint.find("origin")
        xyz = _numbers(None if origin is None else origin.get("xyz"))
        rpy = _numbers(None if origin is None else origin.get("rpy"))
        step = compose(xyz, euler2mat(*rpy), np.ones(3))
        axis, value = joint.find("axis"), state.get(joint.get("name", ""), 0.0)
        if joint.get("type") in ("revolute", "continuous"):
            turn = axangle2mat(_numbers(axis.get("xyz")), value)
            step = step @ compose(np.zeros(3), turn, np.ones(3))
        elif joint.get("type") == "prismatic":
            slide = _numbers(axis.get("xyz")) * value
            step = step @ compose(slide, np.eye(3), np.ones(3))
        frame = step @ frame
        link = joint.find("parent").get("link")
    return frame


def test_the_tool_is_where_the_planner_thinks_it_is(robot: ElementTree.Element) -> None:
    rng = np.random.default_rng(5)
    for joints in rng.uniform(-math.pi, math.pi, (20, 6)):
        base = BasePose(*rng.uniform(-3, 3, 3))
        state = dict(zip(ARM_JOINTS, joints, strict=True))
        state |= dict(zip(BASE_JOINTS, (base.x_m, base.y_m, base.yaw_rad), strict=True))
        expected = base.matrix() @ tool_frames(joints)
        assert _frame(robot, "tool", state) == pytest.approx(expected, abs=1e-9)


def test_limits_and_gripper_are_the_planners(robot: ElementTree.Element) -> None:
    joints, limits = _joints(robot), MotionLimits()
    for index, name in enumerate(ARM_JOINTS):
        limit = joints[name].find("limit")
        assert float(limit.get("lower")) == pytest.approx(limits.joint_lower_rad[index])
        assert float(limit.get("upper")) == pytest.approx(limits.joint_upper_rad[index])
        assert float(limit.get("velocity")) >= limits.joint_speed_rad_s[index]
    opening = sum(float(joints[name].find("limit").get("upper")) for name in FINGER_JOINTS)
    assert opening == pytest.approx(MOBILE_ARM.gripper_open_m)


def test_the_controllers_begin_tucked_and_know_every_moving_joint(
    robot: ElementTree.Element,
) -> None:
    control = robot.find("ros2_control")
    initial = {
        joint.get("name"): float(joint.find("state_interface/param").text)
        for joint in control.findall("joint")
    }
    moving = {name for name, joint in _joints(robot).items() if joint.get("type") != "fixed"}
    assert set(initial) == moving
    assert [initial[name] for name in ARM_JOINTS] == pytest.approx(MOBILE_ARM.tucked_rad)


def test_every_moving_link_has_a_body_that_physics_accepts(robot: ElementTree.Element) -> None:
    for link in robot.findall("link"):
        if link.get("name") == "map":
            continue
        inertial = link.find("inertial")
        inertia = inertial.find("inertia")
        moments = sorted(float(inertia.get(axis)) for axis in ("ixx", "iyy", "izz"))
        assert float(inertial.find("mass").get("value")) > 0
        assert moments[0] > 0
        assert moments[2] <= moments[0] + moments[1] + 1e-12


def test_it_needs_no_file_of_others(urdf: str) -> None:
    assert "<mesh" not in urdf
    assert not re.search(r"(package|file|https?)://(?!www\.ros\.org)", urdf)


def test_check_urdf_accepts_it(urdf: str, tmp_path: Path) -> None:
    tool = shutil.which("check_urdf")
    if tool is None:
        pytest.skip("check_urdf is not installed (Debian: liburdfdom-tools)")
    file = tmp_path / "mobile_arm.urdf"
    file.write_text(urdf, encoding="utf-8")
    done = subprocess.run([tool, str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
