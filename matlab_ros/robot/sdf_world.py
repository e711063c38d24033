"""The lab as a world of Gazebo: SDF 1.9, primitives only, nothing to download.

Stations stand still; furnaces have a lid that a position controller turns; each crucible is a model
of its own, which the robot's DetachableJoint takes hold of. The robot is not in it: it is spawned
from its description.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

from matlab_ros.model.lab_config import LabConfig, StationConfig, StationKind, position_points
from matlab_ros.robot.mobile_arm import CRUCIBLE, ContainerShape
from matlab_ros.robot.poses import Point
from matlab_ros.robot.scene import Solid, lid_hinge, station_solids
from matlab_ros.robot.xml_text import add, document, say, words

_STEP_S = 0.002
_CONTAINER_KG = 0.03
_LID_KG = 2.0
_COLOURS = {
    StationKind.RACK: (0.80, 0.82, 0.84),
    StationKind.FURNACE: (0.35, 0.33, 0.32),
    StationKind.DISPENSER: (0.25, 0.45, 0.70),
    StationKind.DIFFRACTOMETER: (0.30, 0.55, 0.45),
}
_SYSTEMS = (
    ("gz-sim-physics-system", "gz::sim::systems::Physics"),
    ("gz-sim-user-commands-system", "gz::sim::systems::UserCommands"),
    ("gz-sim-scene-broadcaster-system", "gz::sim::systems::SceneBroadcaster"),
)


def lab_sdf(lab: LabConfig, container: ContainerShape = CRUCIBLE) -> str:
    """The world's file."""
    root = ElementTree.Element("sdf", version="1.9")
    comment = f" Written by matlab_ros.robot.description from the lab {lab.name}; see there. "
    root.append(ElementTree.Comment(comment))
    world = add(root, "world", name=lab.name)
    physics = add(world, "physics", name="steps", type="ode")
    say(physics, "max_step_size", _STEP_S)
    say(physics, "real_time_factor", 0)  # as fast as it can
    for file, name in _SYSTEMS:
        add(world, "plugin", filename=file, name=name)
    light = add(world, "light", name="sun", type="directional")
    say(light, "cast_shadows", "true")
    say(light, "pose", "0 0 10 0 0 0")
    say(light, "diffuse", "0.8 0.8 0.8 1")
    say(light, "direction", "-0.4 0.3 -0.9")
    floor = add(world, "model", name="floor")
    say(floor, "static", "true")
    _box(add(floor, "link", name="link"), (0.0, 0.0, -0.05), (60.0, 60.0, 0.1), (0.6, 0.6, 0.6))
    for station in lab.stations:
        _station(world, station)
    points = position_points(lab)
    for name, position in lab.container_homes().items():
        _container(world, name, points[position], container)
    return document(root)


def _station(world: ElementTree.Element, station: StationConfig) -> None:
    solids = station_solids(station, lid_open=False)
    model = add(world, "model", name=station.name)
    say(model, "static", "true")
    link = add(model, "link", name="body")
    for solid in solids:
        if solid.name.endswith("/lid"):
            _lid(world, station, solid)
        else:
            part = solid.name.rpartition("/")[2].replace(" ", "_")
            _box(link, solid.centre_m, solid.size_m, _COLOURS[station.kind], part)


def _lid(world: ElementTree.Element, station: StationConfig, solid: Solid) -> None:
    """A model of its own, since a static one has no joints."""
    hinge = lid_hinge(station)
    model = add(world, "model", name=f"{station.name}_lid")
    say(model, "pose", f"{words(hinge.point_m)} 0 0 0")
    link = add(model, "link", name="lid")
    x, y, z = (a - b for a, b in zip(solid.centre_m, hinge.point_m, strict=True))
    sx, sy, sz = solid.size_m
    turning = (sy * sy + sz * sz, sx * sx + sz * sz, sx * sx + sy * sy)
    _inertia(link, (x, y, z), _LID_KG, tuple(_LID_KG * square / 12 for square in turning))
    _box(link, (x, y, z), solid.size_m, _COLOURS[station.kind], solid=False)
    joint = add(model, "joint", name="hinge", type="revolute")
    say(joint, "parent", "world")
    say(joint, "child", "lid")
    axis = add(joint, "axis")
    say(axis, "xyz", words(hinge.axis))
    limit = add(axis, "limit")
    say(limit, "lower", 0)
    say(limit, "upper", round(math.pi / 2, 6))
    dynamics = add(axis, "dynamics")
    say(dynamics, "damping", 1)
    plugin = add(
        model,
        "plugin",
        filename="gz-sim-joint-position-controller-system",
        name="gz::sim::systems::JointPositionController",
    )
    say(plugin, "joint_name", "hinge")
    say(plugin, "topic", f"{station.name}/lid")
    say(plugin, "p_gain", 60)
    say(plugin, "d_gain", 10)
    say(plugin, "cmd_max", 50)
    say(plugin, "cmd_min", -50)


def _container(
    world: ElementTree.Element, name: str, point: Point, container: ContainerShape
) -> None:
    model = add(world, "model", name=name)
    say(model, "pose", f"{words(point)} 0 0 0")
    link = add(model, "link", name="body")
    radius, height = container.diameter_m / 2, container.height_m
    across = _CONTAINER_KG * (3 * radius**2 + height**2) / 12
    centre = (0.0, 0.0, height / 2)
    _inertia(link, centre, _CONTAINER_KG, (across, across, _CONTAINER_KG * radius**2 / 2))
    for kind in ("collision", "visual"):
        part = add(link, kind, name=kind)
        say(part, "pose", f"{words(centre)} 0 0 0")
        cylinder = add(add(part, "geometry"), "cylinder")
        say(cylinder, "radius", radius)
        say(cylinder, "length", height)
        if kind == "visual":
            _colour(part, (0.95, 0.94, 0.90))


def _inertia(
    link: ElementTree.Element, centre: Point, mass: float, moments: tuple[float, ...]
) -> None:
    inertial = add(link, "inertial")
    say(inertial, "pose", f"{words(centre)} 0 0 0")
    say(inertial, "mass", mass)
    inertia = add(inertial, "inertia")
    for name, value in zip(("ixx", "iyy", "izz"), moments, strict=True):
        say(inertia, name, f"{value:.6g}")


def _box(
    link: ElementTree.Element,
    centre: Point,
    size: Point,
    colour: Point,
    name: str = "body",
    *,
    solid: bool = True,
) -> None:
    """A box to be seen, and to be bumped into where it is solid (a lid is swung by its motor)."""
    for kind in ("collision", "visual") if solid else ("visual",):
        part = add(link, kind, name=f"{name}_{kind}")
        say(part, "pose", f"{words(centre)} 0 0 0")
        say(add(add(part, "geometry"), "box"), "size", words(size))
        if kind == "visual":
            _colour(part, colour)


def _colour(visual: ElementTree.Element, colour: Point) -> None:
    material = add(visual, "material")
    for kind in ("ambient", "diffuse"):
        say(material, kind, f"{words(colour)} 1")
