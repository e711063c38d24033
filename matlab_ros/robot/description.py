"""The lab's files for RViz and the simulators, written from its configuration.

    python -m matlab_ros.robot.description config/labs/virtual_lab.yaml

Writes `urdf/lab.urdf.xacro` (the robot with every station and a frame at every position) and
`worlds/alab.sdf` (the same stations and the crucibles for Gazebo; the robot is spawned into it)
below the current folder.
"""

from __future__ import annotations

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from matlab_ros.model.lab_config import (
    LabConfig,
    StationConfig,
    StationKind,
    load_lab,
    position_frame,
    position_points,
)
from matlab_ros.robot.mobile_arm import CRUCIBLE, ContainerShape
from matlab_ros.robot.poses import Point
from matlab_ros.robot.scene import Solid, lid_hinge, station_solids
from matlab_ros.robot.sdf_world import lab_sdf
from matlab_ros.robot.xml_text import add, document, number, words

_LID = "/lid"
XACRO_FILE = Path("urdf") / "lab.urdf.xacro"
SDF_FILE = Path("worlds") / "alab.sdf"


def lab_xacro(lab: LabConfig, container: ContainerShape = CRUCIBLE) -> str:
    """The robot in its lab as a xacro file beside `mobile_arm.urdf.xacro`.

    Links of stations are named ``station_part``, joints of lids ``furnace_1_lid_joint``; a frame
    such as ``rack_3`` stands at each position; with ``containers:=true`` a link such as
    ``crucible-01`` floats where each container is at the start.
    """
    robot = ElementTree.Element(
        "robot", {"xmlns:xacro": "http://www.ros.org/wiki/xacro", "name": lab.name}
    )
    comment = f" Written by matlab_ros.robot.description from the lab {lab.name}; see there. "
    robot.append(ElementTree.Comment(comment))
    add(robot, "xacro:include", filename="mobile_arm.urdf.xacro")
    add(robot, "xacro:arg", name="containers", default="false")
    add(robot, "xacro:arg", name="mujoco", default="false")
    simulator = add(robot, "xacro:if", value="$(arg mujoco)")
    add(
        add(simulator, "mujoco"), "compiler", fusestatic="false", discardvisual="false"
    )  # else frames without bodies vanish
    for station in lab.stations:
        _station(robot, station)
    for position, point in position_points(lab).items():
        frame = position_frame(position)
        add(robot, "link", name=frame)
        _fixed(robot, frame, point)
    floating = add(robot, "xacro:if", value="$(arg containers)")
    points = position_points(lab)
    for name, position in lab.container_homes().items():
        _container(floating, name, points[position], container)
    return document(robot)


def _station(robot: ElementTree.Element, station: StationConfig) -> None:
    for solid in station_solids(station, lid_open=False):
        link = solid.name.replace("/", "_").replace(" ", "_")
        if not solid.name.endswith(_LID):
            _box(robot, link, solid, (0.0, 0.0, 0.0), station)
            _fixed(robot, link, solid.centre_m)
            continue
        hinge = lid_hinge(station)
        x, y, z = (a - b for a, b in zip(solid.centre_m, hinge.point_m, strict=True))
        _box(robot, link, solid, (x, y, z), station)
        add(
            robot,
            "xacro:moving",
            name=f"{link}_joint",
            type="revolute",
            parent="map",
            child=link,
            axis=words(hinge.axis),
            xyz=words(hinge.point_m),
            lower="0",
            upper="${pi/2}",
            effort="50",
            velocity="1",
        )


def _box(
    robot: ElementTree.Element, link: str, solid: Solid, centre: Point, station: StationConfig
) -> None:
    colour = {StationKind.FURNACE: "dark", StationKind.RACK: "light"}.get(station.kind, "blue")
    add(
        robot,
        "xacro:box_link",
        name=link,
        size=words(solid.size_m),
        xyz=words(centre),
        mass="2",
        material=colour,
    )


def _container(
    robot: ElementTree.Element, name: str, point: Point, container: ContainerShape
) -> None:
    add(
        robot,
        "xacro:tube_link",
        name=name,
        radius=number(container.diameter_m / 2),
        length=number(container.height_m),
        xyz=words((0.0, 0.0, container.height_m / 2)),
        mass="0.03",
        material="light",
    )
    joint = add(robot, "joint", name=f"{name}_joint", type="floating")
    add(joint, "parent", link="map")
    add(joint, "child", link=name)
    add(joint, "origin", xyz=words(point))


def _fixed(robot: ElementTree.Element, link: str, point: Point) -> None:
    add(robot, "xacro:fixed", name=f"{link}_joint", parent="map", child=link, xyz=words(point))


def main() -> int:
    """Write both files of a lab."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lab", type=Path, help="the lab's file")
    lab = load_lab(parser.parse_args().lab)
    for path, text in ((XACRO_FILE, lab_xacro(lab)), (SDF_FILE, lab_sdf(lab))):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
