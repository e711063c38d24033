"""Transfers are planned whole: within limits, upright, clear of the stations, or refused."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.lab_config import LabConfig, load_lab, position_names
from matlab_ros.robot.mobile_arm import CRUCIBLE, MOBILE_ARM, MotionLimits
from matlab_ros.robot.plan import (
    Drive,
    Grip,
    Move,
    NoPlan,
    RobotState,
    TransferPlan,
    Whereabouts,
)
from matlab_ros.robot.poses import BasePose, tilt_rad
from matlab_ros.robot.reach import tool_frames
from matlab_ros.robot.scene import UnknownPosition, base_pose, grasp_points
from matlab_ros.robot.transfer import plan_retreat, plan_transfer

LAB_FILE = Path(__file__).parents[2] / "config" / "labs" / "virtual_lab.yaml"
LIMITS = MotionLimits()
HOME = RobotState(BasePose(0.0, 0.0, math.pi / 2))


@pytest.fixture(scope="module")
def lab() -> LabConfig:
    return load_lab(LAB_FILE)


def _all_positions(lab: LabConfig) -> list[str]:
    return [name for station in lab.stations for name in position_names(station)]


def _moves(plan: TransferPlan) -> list[tuple[BasePose, Move, Whereabouts]]:
    """Every move of the arm with where the base stands during it."""
    base, found = HOME.base, []
    for stage in plan.stages:
        if isinstance(stage.action, Drive):
            base = stage.action.pose
        if isinstance(stage.action, Move):
            found.append((base, stage.action, stage.container))
    return found


def _tool(move: Move, step_s: float = 0.01) -> np.ndarray:
    trajectory = move.trajectory
    return tool_frames(trajectory.sampled(np.arange(0, trajectory.duration_s, step_s)))


def test_every_position_of_the_virtual_lab_can_be_source_and_target(lab: LabConfig) -> None:
    positions = _all_positions(lab)
    points = grasp_points(lab)
    for source, target in zip(positions, positions[1:] + positions[:1], strict=True):
        plan = plan_transfer(lab, source, target, HOME)
        base, ends = HOME.base, {}
        for stage in plan.stages:
            if isinstance(stage.action, Drive):
                base = stage.action.pose
            elif isinstance(stage.action, Move):
                tip = base.matrix() @ tool_frames(stage.action.trajectory.end_rad)[:, 3]
            elif isinstance(stage.action, Grip):
                ends[stage.action.closed] = tip[:3]
        assert ends[True] == pytest.approx(points[source], abs=1e-4)
        assert ends[False] == pytest.approx(points[target], abs=1e-4)


def test_a_carried_container_stays_upright_and_is_not_shaken(lab: LabConfig) -> None:
    for source, target in [("rack/1", "furnace_1/4"), ("furnace_2/1", "rack/48")]:
        for _, move, where in _moves(plan_transfer(lab, source, target, HOME)):
            if where is not Whereabouts.GRIPPER:
                continue
            tool = _tool(move)
            assert tilt_rad(tool).max() <= LIMITS.carried_tilt_rad
            speed = np.gradient(tool[:, :3, 3], 0.01, axis=0)
            acceleration = np.linalg.norm(np.gradient(speed, 0.01, axis=0), axis=1)
            assert acceleration.max() <= 1.4 * LIMITS.carried_acceleration_m_s2


def test_a_carried_container_passes_above_all_others(lab: LabConfig) -> None:
    points = grasp_points(lab)
    for position in _all_positions(lab):
        plan = plan_transfer(lab, position, "rack/1" if position != "rack/1" else "rack/2", HOME)
        others = [
            np.array(point) for name, point in points.items() if name not in (position, plan.target)
        ]
        for base, move, _ in _moves(plan):
            tips = (base.matrix() @ _tool(move, 0.02))[:, :3, 3]
            for other in others:
                near = np.hypot(*(tips[:, :2] - other[:2]).T) < 1.2 * CRUCIBLE.diameter_m
                assert (tips[near, 2] - other[2] > CRUCIBLE.height_m).all()


def test_the_arm_is_tucked_whenever_the_base_drives(lab: LabConfig) -> None:
    joints = np.array(HOME.joints_rad)
    for stage in plan_transfer(lab, "rack/7", "furnace_1/2", HOME).stages:
        if isinstance(stage.action, Move):
            assert stage.action.trajectory.start_rad == pytest.approx(joints, abs=1e-6)
            joints = stage.action.trajectory.end_rad
        if isinstance(stage.action, Drive):
            assert joints == pytest.approx(MOBILE_ARM.tucked_rad, abs=1e-6)
    assert joints == pytest.approx(MOBILE_ARM.tucked_rad, abs=1e-6)


def test_the_same_transfer_is_planned_the_same_way(lab: LabConfig) -> None:
    first, second = (plan_transfer(lab, "rack/20", "furnace_2/3", HOME) for _ in range(2))
    assert [stage.step for stage in first.stages] == [stage.step for stage in second.stages]
    assert first.duration_s == second.duration_s
    for one, other in zip(_moves(first), _moves(second), strict=True):
        assert np.array_equal(one[1].trajectory.positions_rad, other[1].trajectory.positions_rad)


def test_no_drive_where_the_base_stands_already(lab: LabConfig) -> None:
    there = RobotState(base_pose(lab.station("rack")))
    plan = plan_transfer(lab, "rack/1", "rack/2", there)
    assert not [stage for stage in plan.stages if isinstance(stage.action, Drive)]


def test_an_arm_that_was_left_halfway_is_tucked_first(lab: LabConfig) -> None:
    pick = _moves(plan_transfer(lab, "rack/30", "rack/2", HOME))[0][1]
    left = RobotState(HOME.base, tuple(float(q) for q in pick.trajectory.end_rad))
    first = plan_transfer(lab, "rack/1", "rack/2", left).stages[0]
    assert first.step == "tuck the arm"
    assert isinstance(first.action, Move)
    assert first.action.trajectory.start_rad == pytest.approx(left.joints_rad, abs=1e-9)
    # It rises before it swings, so that nothing beside it is swept off the rack.
    tips = _tool(first.action)[:, :3, 3]
    assert np.ptp(tips[tips[:, 2] < tips[0, 2] + 0.05][:, :2], axis=0).max() < 1e-3


def test_a_retreat_only_tucks_the_arm(lab: LabConfig) -> None:
    pick = _moves(plan_transfer(lab, "rack/30", "rack/2", HOME))[0][1]
    left = RobotState(HOME.base, tuple(float(q) for q in pick.trajectory.end_rad))
    (stage,) = plan_retreat(lab, "rack/1", "rack/30", left).stages
    assert stage.container is Whereabouts.TARGET
    assert stage.action.trajectory.end_rad == pytest.approx(MOBILE_ARM.tucked_rad)
    assert not plan_retreat(lab, "rack/1", "rack/30", HOME).stages


def test_what_the_gripper_holds_can_be_put_down(lab: LabConfig) -> None:
    holding = dataclasses.replace(HOME, gripper_gap_m=CRUCIBLE.diameter_m)
    plan = plan_transfer(lab, "arm/gripper", "rack/9", holding)
    assert [s.action.closed for s in plan.stages if isinstance(s.action, Grip)] == [False]


def test_a_gripper_that_may_hold_something_is_not_sent_to_pick(lab: LabConfig) -> None:
    holding = dataclasses.replace(HOME, gripper_gap_m=CRUCIBLE.diameter_m)
    with pytest.raises(NoPlan, match="gripper is not open"):
        plan_transfer(lab, "rack/1", "rack/2", holding)


def test_a_gripper_closed_on_nothing_is_opened_first(lab: LabConfig) -> None:
    closed = dataclasses.replace(HOME, gripper_gap_m=0.0)
    plan = plan_transfer(lab, "rack/1", "rack/2", closed)
    assert [s.action.closed for s in plan.stages if isinstance(s.action, Grip)] == [
        False,
        True,
        False,
    ]
    with pytest.raises(NoPlan, match="holds nothing"):
        plan_transfer(lab, "arm/gripper", "rack/2", closed)


def test_a_base_that_nobody_sees_is_driven_anyway(lab: LabConfig) -> None:
    plan = plan_transfer(lab, "rack/1", "rack/2", dataclasses.replace(HOME, base=None))
    assert isinstance(plan.stages[0].action, Drive)
    assert math.isnan(plan.duration_s)
    assert math.isfinite(plan.path_length_m)


def test_a_position_out_of_reach_is_refused_with_its_name(lab: LabConfig) -> None:
    station = lab.station("dispenser")
    far = station.model_copy(update={"base_pose": (2.0, -1.0, math.pi / 2)})
    stations = tuple(far if s.name == "dispenser" else s for s in lab.stations)
    moved = lab.model_copy(update={"stations": stations})
    with pytest.raises(NoPlan, match="dispenser/1") as refusal:
        plan_transfer(moved, "rack/1", "dispenser/1", HOME)
    assert refusal.value.target == "dispenser/1"


def test_an_unknown_position_is_refused_with_its_name(lab: LabConfig) -> None:
    with pytest.raises(UnknownPosition, match="shelf/9"):
        plan_transfer(lab, "rack/1", "shelf/9", HOME)
    with pytest.raises(NoPlan, match="the same"):
        plan_transfer(lab, "rack/1", "rack/1", HOME)
