"""Markers of the lab: unique and stable ids, colours by state, and nothing left that is gone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
from matlab_ros.model.lab_config import LabConfig, load_lab, position_points
from matlab_ros.nodes.marker_view import LabMarkers, Seen, heat_colour
from matlab_ros.robot.plan import RobotState
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.scene import base_pose, grasp_points, station_solids
from matlab_ros.robot.tool_path import tool_path
from matlab_ros.robot.transfer import plan_transfer
from matlab_ros_interfaces import msg

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab() -> LabConfig:
    return load_lab(ROOT / "config" / "labs" / "virtual_lab.yaml")


def _position(name: str, container: str = "", state: int = msg.PositionState.OCCUPIED) -> Any:
    return msg.PositionState(position=name, state=state, container_id=container)


def _seen(**what: Any) -> Seen:
    positions = [
        _position("rack/1", "crucible-01"),
        _position("furnace_1/2", "crucible-02"),
        _position("rack/9"),
        _position("rack/10", state=msg.PositionState.UNKNOWN),
    ]
    sample = msg.SampleState(
        sample_id="demo-e0001-s1", container_id="crucible-02", state=msg.SampleState.ACTIVE
    )
    return Seen(
        **{
            "positions": {p.position: p for p in positions},
            "samples": {"crucible-02": sample},
            **what,
        }
    )


def _by_key(array: Any) -> dict[tuple[str, int], Any]:
    found = {(marker.ns, marker.id): marker for marker in array.markers}
    assert len(found) == len(array.markers)
    return found


def _of(array: Any, ns: str) -> list[Any]:
    return [marker for marker in array.markers if marker.ns == ns]


def test_every_solid_of_the_planners_scene_is_drawn(lab: LabConfig) -> None:
    cubes = _of(LabMarkers(lab).draw(Seen()), "station")
    solids = [solid for station in lab.stations for solid in station_solids(station)]
    assert len(cubes) == len(solids)
    for cube, solid in zip(cubes, solids, strict=True):
        where = cube.pose.position
        assert (where.x, where.y, where.z) == pytest.approx(solid.centre_m)
        assert (cube.scale.x, cube.scale.y, cube.scale.z) == pytest.approx(solid.size_m)


def test_containers_stand_at_their_positions_and_keep_their_ids(lab: LabConfig) -> None:
    view, points = LabMarkers(lab), position_points(lab)
    first = _by_key(view.draw(_seen()))
    moved = {"rack/20": _position("rack/20", "crucible-02")}
    second = _by_key(view.draw(_seen(positions=moved)))
    number = next(key for key, marker in first.items() if marker.text.startswith("e0001"))
    assert second[number].text.startswith("e0001-s1")
    assert second[number].pose.position.x == pytest.approx(points["rack/20"][0])
    gone = {key for key, marker in second.items() if marker.action == marker.DELETE}
    assert gone  # crucible-01 and the unknown position
    assert {ns for ns, _ in gone} == {"sample"}
    assert not [m for m in view.draw(_seen(positions=moved)).markers if m.action == m.DELETE]


def test_states_have_colours_of_their_own(lab: LabConfig) -> None:
    colours = {
        (m.color.r, m.color.g, m.color.b, m.color.a)
        for m in _of(LabMarkers(lab).draw(_seen()), "sample")
    }
    assert len(colours) == 3  # empty, active, unknown


def test_what_the_gripper_holds_goes_with_it(lab: LabConfig) -> None:
    held = {"arm/gripper": _position("arm/gripper", "crucible-02")}
    (marker,) = _of(LabMarkers(lab).draw(_seen(positions=held)), "sample")
    assert marker.header.frame_id == "tool"
    assert marker.frame_locked
    assert marker.header.stamp.sec == marker.header.stamp.nanosec == 0


def test_heat_and_faults_are_told_at_their_station(lab: LabConfig) -> None:
    faults = [
        msg.Fault(fault_id="f1", device="furnace_2", message="no answer"),
        msg.Fault(fault_id="f2", device="arm", message="dropped"),
    ]
    seen = _seen(celsius={"furnace_1": 850.4}, faults=faults)
    words = [marker.text for marker in _of(LabMarkers(lab).draw(seen), "label")]
    assert "furnace_1\n850 °C" in words
    assert "furnace_2\nno answer" in words
    assert "arm: dropped" in words


def test_hotter_is_redder() -> None:
    green = [heat_colour(celsius)[1] for celsius in (20, 200, 800, 1400)]
    assert green == sorted(green, reverse=True)
    assert all(0 <= part <= 1 for celsius in (-50, 20, 3000) for part in heat_colour(celsius))


def test_every_position_has_a_frame(lab: LabConfig) -> None:
    frames = {frame.child_frame_id: frame for frame in LabMarkers(lab).frames()}
    assert len(frames) == len(position_points(lab))
    x, y, z = position_points(lab)["furnace_1/3"]
    where = frames["furnace_1_3"].transform.translation
    assert (where.x, where.y, where.z) == pytest.approx((x, y, z))
    assert frames["furnace_1_3"].header.frame_id == "map"


def test_the_planned_way_comes_by_source_and_target(lab: LabConfig) -> None:
    start = RobotState(BasePose(0.0, 0.0, math.pi / 2))
    path = tool_path(plan_transfer(lab, "rack/3", "furnace_2/1", start), start)
    points = grasp_points(lab)
    for position in ("rack/3", "furnace_2/1"):
        assert np.linalg.norm(path - np.array(points[position]), axis=1).min() < 1e-3
    unknown = RobotState(None)
    plan = plan_transfer(lab, "rack/3", "rack/4", unknown)
    base = base_pose(lab.station("rack"))
    assert np.abs(tool_path(plan, unknown)[:, :2] - (base.x_m, base.y_m)).max() < 1.5
    drawn = LabMarkers(lab).draw(Seen(path=[tuple(map(float, point)) for point in path]))
    (line,) = _of(drawn, "path")
    assert len(line.points) == len(path)
