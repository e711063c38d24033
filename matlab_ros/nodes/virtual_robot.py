"""The virtual robot's controllers as ROS knows them: trajectory, gripper and navigation actions."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from control_msgs.action import FollowJointTrajectory, GripperCommand
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage

from matlab_ros.nodes.device_node import declare
from matlab_ros.nodes.ros_time import to_msg
from matlab_ros.robot.poses import BasePose, yaw_of
from matlab_ros.virtual.robot import (
    KinematicRobot,
    Motion,
    MotionOutcome,
    RobotRefused,
    TrajectoryPoint,
)

_LOOK_FOR_CANCELS_S = 0.05
_RESULT_KEPT_S = 5.0
"""Steady seconds for which the result of a goal can be asked for. As long as it is kept, each
further goal's status is told together with its, and a day of transfers has thousands of goals."""
_LOOKS_PER_PUBLICATION = 5


@dataclass
class _Goal:
    """One accepted goal: what moves for it, and how it is stopped."""

    handle: ServerGoalHandle
    stop: Callable[[float], None]
    conclude: Callable[[_Goal], Any]
    motion: Motion | None = None
    refusal: str = ""
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.key = bytes(self.handle.goal_id.uuid)

    @property
    def is_over(self) -> bool:
        return self.motion is None or self.motion.is_over


class VirtualRobotServers:
    """Serves the robot's actions for whoever steps virtual time.

    A goal moves the robot from the moment it is accepted, but is executed, in the sense of rclpy,
    only when its motion is over: so no thread and no coroutine waits for it meanwhile. Whoever
    steps the time calls ``robot.advance_to(t)``, publishes the clock, then calls `settle`.

    Parameters of the node: ``trajectory_action``, ``gripper_action``, ``navigation_action``,
    ``gripper_open_position`` and ``gripper_closed_position`` (of a GripperCommand, metres between
    the fingers), ``map_frame``, ``base_frame``, ``publish_tf`` (false where a
    robot_state_publisher reads the joint states).

    Args:
        node: that the servers belong to.
        robot: what moves.
        on_change: told when `under_way` changed otherwise than by `settle`; whoever steps the
            time looks again then.
    """

    def __init__(
        self, node: Node, robot: KinematicRobot, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._node, self._robot, self._on_change = node, robot, on_change
        self._lock = threading.RLock()
        self._goals: dict[bytes, _Goal] = {}
        self._map = declare(node, "map_frame", "map")
        self._base = declare(node, "base_frame", "base_link")
        opened = declare(node, "gripper_open_position", 0.050)
        closed = declare(node, "gripper_closed_position", 0.0)
        self._half_open = (opened + closed) / 2
        self._with_tf = declare(node, "publish_tf", True)
        self._joints = node.create_publisher(JointState, "joint_states", 10)
        self._tf = node.create_publisher(TFMessage, "/tf", 10) if self._with_tf else None
        group = MutuallyExclusiveCallbackGroup()
        self._servers = [
            ActionServer(
                node,
                action_type,
                declare(node, parameter, name),
                execute_callback=self._execute,
                goal_callback=lambda _goal: GoalResponse.ACCEPT,
                handle_accepted_callback=begin,
                cancel_callback=lambda _handle: CancelResponse.ACCEPT,
                callback_group=group,
                result_timeout=_RESULT_KEPT_S,
            )
            for action_type, parameter, name, begin in (
                (
                    FollowJointTrajectory,
                    "trajectory_action",
                    "arm_controller/follow_joint_trajectory",
                    self._begin_trajectory,
                ),
                (
                    GripperCommand,
                    "gripper_action",
                    "gripper_controller/gripper_cmd",
                    self._begin_grip,
                ),
                (NavigateToPose, "navigation_action", "navigate_to_pose", self._begin_drive),
            )
        ]
        self._looks = 0
        self._said_s = math.nan
        """Virtual second of what was published last."""
        self._timer = node.create_timer(
            _LOOK_FOR_CANCELS_S,
            self._look_for_cancels,
            callback_group=group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._publish()

    def under_way(self) -> tuple[set[bytes], float | None]:
        """Ids (16 bytes each) of the goals whose motion is under way, and the virtual second at
        which the next of these motions ends.

        Both of one instant: with a goal that began between two looks, time would jump beyond the
        end of its motion.
        """
        with self._lock:
            return set(self._goals), self._robot.next_moment()

    def settle(self) -> None:
        """Publish where the robot is if it moves, and end the goals whose motion is over."""
        with self._lock:
            over = [goal for goal in self._goals.values() if goal.is_over]
            # What stands still is said at the timer's pace, however often time jumps.
            if self._goals and (over or self._robot.now_s != self._said_s):
                self._publish()
            for goal in over:
                self._end(goal)

    def destroy(self) -> None:
        """Take the servers off the node."""
        self._node.destroy_timer(self._timer)
        for server in self._servers:
            server.destroy()

    # Goals --------------------------------------------------------------------------------

    def _begin_trajectory(self, handle: ServerGoalHandle) -> None:
        trajectory = handle.request.trajectory
        points = [
            TrajectoryPoint(
                point.time_from_start.sec + point.time_from_start.nanosec * 1e-9,
                tuple(point.positions),
                tuple(point.velocities),
            )
            for point in trajectory.points
        ]
        self._begin(
            _Goal(handle, self._robot.cancel_trajectory, self._conclude_trajectory),
            lambda now: self._robot.start_trajectory(tuple(trajectory.joint_names), points, now),
        )

    def _begin_drive(self, handle: ServerGoalHandle) -> None:
        position, turn = handle.request.pose.pose.position, handle.request.pose.pose.orientation
        pose = (position.x, position.y, yaw_of(turn.w, turn.x, turn.y, turn.z))
        self._begin(
            _Goal(handle, self._robot.cancel_drive, self._conclude_drive),
            lambda now: self._robot.start_drive(pose, now),
        )

    def _begin_grip(self, handle: ServerGoalHandle) -> None:
        closes = handle.request.command.position < self._half_open
        self._begin(
            _Goal(handle, lambda _now: self._robot.end_stroke(), self._conclude_grip),
            lambda now: self._robot.command_gripper(closes, now),
        )

    def _begin(self, goal: _Goal, start: Callable[[float], Motion]) -> None:
        with self._lock:
            try:
                goal.motion = start(self._robot.now_s)
            except RobotRefused as refusal:
                goal.refusal = str(refusal)
            self._goals[goal.key] = goal
            # Ends what is over at once: a refused goal, one that this one replaced, a drive to
            # where the base stands.
            self._robot.advance_to(self._robot.now_s)
            self.settle()
        self._on_change()

    def _end(self, goal: _Goal) -> None:
        del self._goals[goal.key]
        goal.handle.execute(lambda _handle: goal.conclude(goal))

    def _execute(self, handle: ServerGoalHandle) -> Any:
        raise RuntimeError(f"goal {bytes(handle.goal_id.uuid).hex()} was executed by nobody")

    def _look_for_cancels(self) -> None:
        with self._lock:
            for goal in list(self._goals.values()):
                if goal.handle.is_cancel_requested and not goal.is_over:
                    goal.stop(self._robot.now_s)
            some_over = any(goal.is_over for goal in self._goals.values())
            if some_over:
                self.settle()
            self._looks = (self._looks + 1) % _LOOKS_PER_PUBLICATION
            if self._looks == 0:
                self._publish()
        if some_over:
            self._on_change()

    # Results ------------------------------------------------------------------------------

    @staticmethod
    def _close(goal: _Goal, succeeded: bool) -> bool:
        """Give a goal its terminal status; True where it was cancelled."""
        if goal.motion is not None and goal.motion.outcome is MotionOutcome.CANCELED:
            if goal.handle.is_cancel_requested:
                goal.handle.canceled()
                return True
            goal.handle.abort()
        elif succeeded:
            goal.handle.succeed()
        else:
            goal.handle.abort()
        return False

    def _conclude_trajectory(self, goal: _Goal) -> Any:
        result = FollowJointTrajectory.Result()
        if goal.motion is None:
            result.error_code = FollowJointTrajectory.Result.INVALID_GOAL
            result.error_string = goal.refusal
        elif goal.motion.outcome is MotionOutcome.CANCELED:
            result.error_string = "stopped before the end"
        self._close(goal, goal.motion is not None)
        return result

    def _conclude_drive(self, goal: _Goal) -> Any:
        self._close(goal, goal.motion is not None)
        return NavigateToPose.Result()

    def _conclude_grip(self, goal: _Goal) -> Any:
        outcome = None if goal.motion is None else goal.motion.outcome
        if outcome is MotionOutcome.DROPPED:
            # A real gripper does not feel it either: only the world's own log has it.
            self._node.get_logger().error("the gripper opened where no free position is")
        holds = outcome is MotionOutcome.PICKED
        self._close(goal, outcome is not None)
        return GripperCommand.Result(
            position=self._robot.gripper_gap_m(),
            effort=math.nan,
            stalled=holds,
            reached_goal=not holds and outcome is not MotionOutcome.CANCELED,
        )

    # What everybody may see ---------------------------------------------------------------

    def _publish(self) -> None:
        self._said_s = self._robot.now_s
        stamp = to_msg(round(self._said_s * 1e9))
        reading = self._robot.joint_state()
        message = JointState(
            name=list(reading.names),
            position=list(reading.positions),
            velocity=list(reading.velocities),
        )
        message.header.stamp = stamp
        self._joints.publish(message)
        if self._tf is None:
            return
        x, y, yaw = self._robot.base_pose()
        transform = TransformStamped(child_frame_id=self._base)
        transform.header.stamp = stamp
        transform.header.frame_id = self._map
        transform.transform.translation = Vector3(x=x, y=y, z=0.0)
        w, qx, qy, qz = BasePose(x, y, yaw).quaternion()
        transform.transform.rotation = Quaternion(x=qx, y=qy, z=qz, w=w)
        self._tf.publish(TFMessage(transforms=[transform]))
