"""Distances are right, bodies are the description's, and what would hit something is refused."""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from transforms3d.euler import euler2mat

from matlab_ros.model.lab_config import LabConfig, load_lab
from matlab_ros.robot.bodies import TUBES, blocks, placed_bodies, self_pairs
from matlab_ros.robot.clearance import contact_on_drive, contact_on_path, full_hand, open_hand
from matlab_ros.robot.collision import box_gap, capsule_box_gap, capsule_gap
from matlab_ros.robot.mobile_arm import MOBILE_ARM
from matlab_ros.robot.plan import Drive, NoPlan, RobotState
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.scene import base_pose, scene_of
from matlab_ros.robot.trajectory import line
from matlab_ros.robot.transfer import plan_transfer

ROOT = Path(__file__).parents[2]
HOME = RobotState(BasePose(0.0, 0.0, math.pi / 2))
COUNT = 3000


@pytest.fixture(scope="module")
def lab() -> LabConfig:
    return load_lab(ROOT / "config" / "labs" / "virtual_lab.yaml")


def _rotations(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.array([euler2mat(*angles) for angles in rng.uniform(-math.pi, math.pi, (count, 3))])


def _boxes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        rng.uniform(-0.6, 0.6, (COUNT, 3)),
        _rotations(rng, COUNT),
        rng.uniform(0.02, 0.4, (COUNT, 3)),
    )


def _capsules(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(-0.8, 0.8, (COUNT, 2, 3)), rng.uniform(0.01, 0.1, COUNT)


def _along(ends: np.ndarray, count: int = 2001) -> np.ndarray:
    share = np.linspace(0, 1, count)[:, None]
    return ends[0] + share * (ends[1] - ends[0])


def test_the_distance_of_capsule_and_box_is_that_of_the_nearest_of_many_points() -> None:
    rng = np.random.default_rng(3)
    (centre, axes, half), (ends, radius) = _boxes(rng), _capsules(rng)
    ends[:200, 1] = ends[:200, 0]  # spheres
    gaps = capsule_box_gap(ends, radius, centre, axes, half)
    for index in range(0, COUNT, 10):
        local = (_along(ends[index]) - centre[index]) @ axes[index]
        outside = np.linalg.norm(local - np.clip(local, -half[index], half[index]), axis=1)
        assert gaps[index] == pytest.approx(outside.min() - radius[index], abs=1e-3)
        assert gaps[index] <= outside.min() - radius[index] + 1e-12


def test_the_distance_of_capsules_is_that_of_the_nearest_of_many_points() -> None:
    rng = np.random.default_rng(4)
    (ends, radius), (other, other_radius) = _capsules(rng), _capsules(rng)
    other[:100] = ends[:100] + 0.1  # parallel
    other[100:200, 1] = other[100:200, 0]  # spheres
    gaps = capsule_gap(ends, radius, other, other_radius)
    for index in range(0, COUNT, 40):
        points, others = _along(ends[index], 400), _along(other[index], 400)
        nearest = np.linalg.norm(points[:, None] - others[None], axis=-1).min()
        assert gaps[index] == pytest.approx(nearest - radius[index] - other_radius[index], abs=6e-3)


def test_boxes_overlap_just_where_a_point_of_both_is_found() -> None:
    rng = np.random.default_rng(5)
    one, other = _boxes(rng), _boxes(rng)
    gaps = box_gap(*one, *other)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 9)] * 3), axis=-1).reshape(-1, 3)
    for index in range(0, COUNT, 3):
        centre, axes, half = (part[index] for part in one)
        points = (grid * half) @ axes.T + centre
        centre, axes, half = (part[index] for part in other)
        local = np.abs((points - centre) @ axes)
        if (local < half).all(axis=1).any():
            assert gaps[index] < 0
        apart = np.linalg.norm(np.maximum(local - half, 0), axis=1).min()
        assert gaps[index] <= apart + 1e-12


def test_distances_are_those_of_coal() -> None:
    coal = pytest.importorskip("coal", reason="coal is not installed")
    rng = np.random.default_rng(6)
    one, other, (ends, radius) = _boxes(rng), _boxes(rng), _capsules(rng)
    tube_gaps, box_gaps = capsule_box_gap(ends, radius, *one), box_gap(*one, *other)
    request = coal.DistanceRequest()

    def box(boxes: tuple[np.ndarray, ...], index: int) -> tuple[object, object]:
        centre, axes, half = (part[index] for part in boxes)
        return coal.Box(*(2 * half)), coal.Transform3s(axes, centre)

    for index in range(COUNT):
        way = ends[index, 1] - ends[index, 0]
        length = float(np.linalg.norm(way))
        side = np.linalg.svd(way[None])[2]
        turn = np.array([side[1], np.cross(way / length, side[1]), way / length]).T
        capsule = coal.Capsule(float(radius[index]), length)
        place = coal.Transform3s(turn, ends[index].mean(axis=0))
        found = coal.distance(capsule, place, *box(one, index), request, coal.DistanceResult())
        if found > 1e-6:
            assert tube_gaps[index] == pytest.approx(found, abs=1e-5)
        else:
            assert tube_gaps[index] < 1e-5
        found = coal.distance(*box(one, index), *box(other, index), request, coal.DistanceResult())
        assert (box_gaps[index] > 1e-9) == (found > 1e-9)
        assert box_gaps[index] <= max(found, 0) + 1e-6


def test_the_bodies_are_those_of_the_description() -> None:
    xacro = pytest.importorskip("xacro", reason="xacro is not installed")
    text = xacro.process_file(str(ROOT / "urdf" / "mobile_arm.urdf.xacro")).toxml()
    links = {link.get("name"): link for link in ElementTree.fromstring(text).findall("link")}
    parts = blocks(0.0, 0.0)
    with_body = {name for name, link in links.items() if link.find("collision") is not None}
    assert with_body == {body.link for body in (*TUBES, *parts)}
    for tube in TUBES:
        cylinder = links[tube.link].find("collision/geometry/cylinder")
        assert tube.radius_m == pytest.approx(float(cylinder.get("radius")))
        assert math.dist(*tube.ends_m) == pytest.approx(float(cylinder.get("length")), abs=1e-9)
    for part in parts:
        box = links[part.link].find("collision/geometry/box")
        assert part.size_m == pytest.approx([float(word) for word in box.get("size").split()])


def test_the_tucked_arm_is_clear_of_itself_and_a_folded_one_is_not(lab: LabConfig) -> None:
    scene, tucked = scene_of(lab.stations), np.array(MOBILE_ARM.tucked_rad)
    assert contact_on_path(line(tucked, tucked + 0.01), None, full_hand(), scene) is None
    folded = tucked + np.array([0.0, 0.0, 1.6, -1.2, 0.0, 0.0])
    contact = contact_on_path(line(tucked, folded), None, open_hand(), scene)
    assert contact is not None
    assert "link" in contact.thing


def test_neighbours_in_the_chain_are_no_collision() -> None:
    parts = blocks(0.05, 0.05)
    bodies = placed_bodies(np.zeros((1, 6)), np.eye(4), parts)
    pairs = {(bodies.names[i], bodies.names[j]) for i, j in self_pairs(parts)}
    assert ("shoulder_link", "upper_arm_link") not in pairs
    assert ("upper_arm_link", "base_link") in pairs


def test_a_closed_furnace_is_reached_into_by_nobody(lab: LabConfig) -> None:
    closed = frozenset({"furnace_1"})
    with pytest.raises(NoPlan, match=r"hit furnace_1/lid on every way to furnace_1/3"):
        plan_transfer(lab, "rack/1", "furnace_1/3", HOME, closed_lids=closed)
    assert plan_transfer(lab, "rack/1", "furnace_2/3", HOME, closed_lids=closed).stages


def test_what_stands_too_near_to_a_position_is_named(lab: LabConfig) -> None:
    dispenser = lab.station("dispenser")
    # Its cabinet stands where the diffractometer's positions are reached from above.
    grid = dispenser.grid.model_copy(update={"origin_m": (7.5, 0.40, 0.85)})
    moved = dispenser.model_copy(update={"grid": grid, "base_pose": (7.5, -0.15, math.pi / 2)})
    stations = tuple(moved if s.name == "dispenser" else s for s in lab.stations)
    changed = lab.model_copy(update={"stations": stations})
    with pytest.raises(NoPlan, match=r"dispenser/cabinet on every way to diffractometer/1"):
        plan_transfer(changed, "rack/1", "diffractometer/1", HOME)


def test_the_base_drives_round_a_station_that_is_in_its_straight_way(lab: LabConfig) -> None:
    furnace = lab.station("furnace_1")
    grid = furnace.grid.model_copy(update={"origin_m": (3.96, 0.15, 0.90)})
    nearer = furnace.model_copy(update={"grid": grid, "base_pose": (4.0, -0.45, math.pi / 2)})
    stations = tuple(nearer if s.name == "furnace_1" else s for s in lab.stations)
    changed = lab.model_copy(update={"stations": stations})
    scene = scene_of(stations)
    rack, far = (base_pose(lab.station(name)) for name in ("rack", "diffractometer"))
    assert contact_on_drive(rack, far, open_hand(), scene) is not None
    plan = plan_transfer(changed, "rack/1", "diffractometer/1", HOME)
    drives = [stage.action for stage in plan.stages if isinstance(stage.action, Drive)]
    assert [drive.pose for drive in drives][-1] == far
    assert len(drives) == 3
    base = HOME.base
    for drive in drives:
        assert contact_on_drive(base, drive.pose, full_hand(), scene) is None
        base = drive.pose


def test_a_station_on_the_base_is_refused(lab: LabConfig) -> None:
    rack = lab.station("rack").model_copy(update={"base_pose": (0.0, 0.9, math.pi / 2)})
    stations = tuple(rack if s.name == "rack" else s for s in lab.stations)
    changed = lab.model_copy(update={"stations": stations})
    start = RobotState(base_pose(lab.station("dispenser")))
    with pytest.raises(NoPlan):
        plan_transfer(changed, "rack/1", "dispenser/1", start)
