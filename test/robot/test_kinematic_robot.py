"""The virtual lab's robot: moves in virtual time, and holds only what its tool is really at."""

import math
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.lab_config import LabConfig, load_lab, position_points
from matlab_ros.robot.mobile_arm import ARM_JOINTS, MOBILE_ARM
from matlab_ros.robot.plan import Drive, Grip, Move, RobotState
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.reach import tool_frames
from matlab_ros.robot.transfer import plan_transfer
from matlab_ros.virtual.robot import (
    KinematicRobot,
    Motion,
    MotionOutcome,
    TrajectoryPoint,
    TrajectoryRejected,
)

LAB_FILE = Path(__file__).parents[2] / "config" / "labs" / "virtual_lab.yaml"


class Shelf:
    """A world that only knows which positions are taken."""

    def __init__(self, *taken: str) -> None:
        self.taken = set(taken)
        self.fallen = 0

    def pick(self, position: str) -> bool:
        if position not in self.taken:
            return False
        self.taken.remove(position)
        return True

    def place(self, position: str) -> bool:
        if position in self.taken:
            return False
        self.taken.add(position)
        return True

    def drop(self) -> None:
        self.fallen += 1


@pytest.fixture(scope="module")
def lab() -> LabConfig:
    return load_lab(LAB_FILE)


def _robot(lab: LabConfig, shelf: Shelf) -> KinematicRobot:
    return KinematicRobot(position_points(lab), shelf.pick, shelf.place, dropped=shelf.drop)


def _points(move: Move) -> list[TrajectoryPoint]:
    trajectory = move.trajectory
    return [
        TrajectoryPoint(float(t), tuple(map(float, q)), tuple(map(float, v)))
        for t, q, v in zip(
            trajectory.times_s,
            trajectory.positions_rad,
            trajectory.velocities_rad_s,
            strict=True,
        )
    ]


def _carry_out(
    robot: KinematicRobot, lab: LabConfig, source: str, target: str, stages: slice = slice(None)
) -> list[Motion]:
    """Do the stages of a plan one after the other, as an arm node would."""
    reading = robot.joint_state()
    at = dict(zip(reading.names, reading.positions, strict=True))
    state = RobotState(
        BasePose(*robot.base_pose()), tuple(at[j] for j in ARM_JOINTS), robot.gripper_gap_m()
    )
    motions, now = [], 0.0
    for stage in plan_transfer(lab, source, target, state).stages[stages]:
        if isinstance(stage.action, Drive):
            pose = stage.action.pose
            motion = robot.start_drive((pose.x_m, pose.y_m, pose.yaw_rad), now)
        elif isinstance(stage.action, Move):
            motion = robot.start_trajectory(ARM_JOINTS, _points(stage.action), now)
        else:
            assert isinstance(stage.action, Grip)
            motion = robot.command_gripper(stage.action.closed, now)
        while not motion.is_over:
            moment = robot.next_moment()
            assert moment is not None
            now = moment
            robot.advance_to(now)
        motions.append(motion)
    return motions


def test_its_own_chain_agrees_with_the_planners_kinematics(lab: LabConfig) -> None:
    rng = np.random.default_rng(3)
    for joints in rng.uniform(-math.pi, math.pi, (50, 6)):
        base = BasePose(*rng.uniform(-2, 2, 3))
        robot = KinematicRobot(
            {},
            lambda _: False,
            lambda _: False,
            base=(base.x_m, base.y_m, base.yaw_rad),
            joints_rad=joints,
        )
        expected = (base.matrix() @ tool_frames(joints))[:3, 3]
        assert robot.tool_point() == pytest.approx(expected, abs=1e-12)


def test_a_planned_transfer_moves_the_container(lab: LabConfig) -> None:
    shelf = Shelf("rack/17", "rack/18")
    robot = _robot(lab, shelf)
    motions = _carry_out(robot, lab, "rack/17", "furnace_2/3")
    assert shelf.taken == {"rack/18", "furnace_2/3"}
    outcomes = [motion.outcome for motion in motions]
    assert outcomes.count(MotionOutcome.PICKED) == outcomes.count(MotionOutcome.PLACED) == 1
    assert set(outcomes) == {MotionOutcome.DONE, MotionOutcome.PICKED, MotionOutcome.PLACED}
    _carry_out(robot, lab, "furnace_2/3", "diffractometer/1")
    assert shelf.taken == {"rack/18", "diffractometer/1"}
    reading = robot.joint_state()
    at = dict(zip(reading.names, reading.positions, strict=True))
    assert [at[j] for j in ARM_JOINTS] == pytest.approx(MOBILE_ARM.tucked_rad, abs=1e-6)


def test_closing_on_nothing_reports_no_object(lab: LabConfig) -> None:
    robot = _robot(lab, Shelf())
    motions = _carry_out(robot, lab, "rack/17", "rack/1", slice(0, 2))
    assert motions[-1].outcome is MotionOutcome.NOTHING_THERE
    assert robot.gripper_gap_m() == 0.0
    assert not robot.holds


def test_a_container_held_keeps_the_fingers_apart(lab: LabConfig) -> None:
    robot = _robot(lab, Shelf("rack/17"))
    _carry_out(robot, lab, "rack/17", "rack/1", slice(0, 2))
    assert robot.holds
    assert robot.gripper_gap_m() == pytest.approx(0.030)


def test_opening_in_mid_air_drops_the_container(lab: LabConfig) -> None:
    shelf = Shelf("rack/17")
    robot = _robot(lab, shelf)
    _carry_out(robot, lab, "rack/17", "furnace_1/1", slice(0, 3))
    motion = robot.command_gripper(False, 100.0)
    robot.advance_to(200.0)
    assert motion.outcome is MotionOutcome.DROPPED
    assert shelf.fallen == 1
    assert not robot.holds


def test_a_container_is_not_put_where_another_stands(lab: LabConfig) -> None:
    shelf = Shelf("rack/17", "rack/18")
    robot = _robot(lab, shelf)
    motions = _carry_out(robot, lab, "rack/17", "rack/18")
    assert MotionOutcome.DROPPED in [motion.outcome for motion in motions]
    assert shelf.fallen == 1


def test_a_container_that_slips_out_is_gone(lab: LabConfig) -> None:
    shelf = Shelf("rack/17")
    robot = _robot(lab, shelf)
    _carry_out(robot, lab, "rack/17", "rack/18", slice(0, 2))
    robot.lose_container()
    assert (robot.holds, robot.gripper_gap_m(), shelf.fallen) == (False, 0.0, 1)


def test_nothing_is_taken_from_a_place_the_tool_is_not_at(lab: LabConfig) -> None:
    shelf = Shelf("rack/17")
    robot = _robot(lab, shelf)
    x, y, yaw = lab.station("rack").base_pose
    # A base 15 mm beside where it should be.
    robot.start_drive((x + 0.015, y, yaw), 0.0)
    robot.advance_to(10.0)
    plan = plan_transfer(lab, "rack/17", "rack/1", RobotState(BasePose(x, y, yaw)))
    move = plan.stages[0].action
    assert isinstance(move, Move)
    robot.start_trajectory(ARM_JOINTS, _points(move), 10.0)
    robot.advance_to(60.0)
    motion = robot.command_gripper(True, 60.0)
    robot.advance_to(70.0)
    assert motion.outcome is MotionOutcome.NOTHING_THERE
    assert shelf.taken == {"rack/17"}


def test_time_is_the_only_thing_that_moves_it(lab: LabConfig) -> None:
    robot = _robot(lab, Shelf())
    assert robot.next_moment() is None
    motion = robot.start_drive((3.0, 0.0, math.pi / 2), 5.0)
    assert robot.next_moment() == motion.ends_s
    robot.advance_to(motion.ends_s - 1e-3)
    assert not motion.is_over
    assert 0 < robot.base_pose()[0] < 3.0
    robot.advance_to(motion.ends_s)
    assert motion.outcome is MotionOutcome.DONE
    assert robot.base_pose() == (3.0, 0.0, math.pi / 2)


def test_a_drive_keeps_to_its_speed_and_acceleration(lab: LabConfig) -> None:
    robot = _robot(lab, Shelf())
    motion = robot.start_drive((5.0, 0.0, 0.0), 0.0)
    times = np.arange(0, motion.ends_s, 0.01)
    way = np.array([robot.base_pose(t)[0] for t in times])
    speed = np.gradient(way, 0.01)
    assert speed.max() <= 0.9 * 1.001
    assert np.abs(np.gradient(speed, 0.01)).max() <= 0.5 * 1.01


def test_a_cancel_stops_the_arm_where_it_is(lab: LabConfig) -> None:
    robot = _robot(lab, Shelf("rack/17"))
    plan = plan_transfer(lab, "rack/17", "rack/1", RobotState(BasePose(0, 0, math.pi / 2)))
    move = plan.stages[0].action
    assert isinstance(move, Move)
    motion = robot.start_trajectory(ARM_JOINTS, _points(move), 0.0)
    robot.advance_to(1.0)
    before = robot.tool_point()
    robot.cancel_trajectory(1.0)
    assert motion.outcome is MotionOutcome.CANCELED
    robot.advance_to(50.0)
    assert robot.tool_point() == before
    assert robot.next_moment() is None


@pytest.mark.parametrize(
    ("names", "points", "what"),
    [
        (("elbow_joint",), [TrajectoryPoint(1.0, (0.0,))], "expected shoulder_pan_joint"),
        (ARM_JOINTS, [], "without points"),
        (ARM_JOINTS, [TrajectoryPoint(0.0, (0.0,) * 6)], "away from where the arm is"),
        (ARM_JOINTS, [TrajectoryPoint(1.0, (0.0,) * 6)] * 2, "do not increase"),
        (ARM_JOINTS, [TrajectoryPoint(9.0, (0, 0, 4.0, 0, 0, 0))], "elbow_joint beyond"),
        (ARM_JOINTS, [TrajectoryPoint(9.0, (math.nan,) * 6)], "no numbers"),
        (ARM_JOINTS, [TrajectoryPoint(9.0, (0.0,) * 5)], "6 joints"),
        (ARM_JOINTS, [TrajectoryPoint(9.0, (0.0,) * 6, (4.0,) * 6)], "faster"),
    ],
)
def test_an_impossible_trajectory_is_rejected_and_nothing_moves(
    lab: LabConfig, names: tuple[str, ...], points: list[TrajectoryPoint], what: str
) -> None:
    robot = _robot(lab, Shelf())
    with pytest.raises(TrajectoryRejected, match=what):
        robot.start_trajectory(names, points, 0.0)
    assert robot.next_moment() is None


def test_joints_may_be_named_in_any_order(lab: LabConfig) -> None:
    robot = _robot(lab, Shelf())
    goal = dict(zip(ARM_JOINTS, (2.0, -1.0, 1.0, -1.5, -1.6, 2.0), strict=True))
    names = tuple(reversed(ARM_JOINTS))
    point = TrajectoryPoint(3.0, tuple(goal[name] for name in names))
    robot.start_trajectory(names, [point], 0.0)
    robot.advance_to(3.0)
    reading = robot.joint_state()
    at = dict(zip(reading.names, reading.positions, strict=True))
    assert {name: at[name] for name in ARM_JOINTS} == pytest.approx(goal)
