"""The robot's controllers as the arm node uses them: one goal at a time, and joint states."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory, GripperCommand
from geometry_msgs.msg import Point, PoseStamped, Quaternion
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.task import Future
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from unique_identifier_msgs.msg import UUID

from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.nodes.device_node import Attempt, AttemptCanceled, DeviceNode
from matlab_ros.nodes.ros_time import to_ns
from matlab_ros.robot import trajectory
from matlab_ros.robot.mobile_arm import ARM_JOINTS, BASE_JOINTS, FINGER_JOINTS, MOBILE_ARM
from matlab_ros.robot.plan import Drive, Grip, GripperReading, Move, RobotState
from matlab_ros.robot.poses import BasePose

_ANSWER_S = 30.0
"""Steady seconds for a server's short answer: acceptance, cancel, a fresh joint state."""
_FOUND_S = 5.0
"""Steady seconds for a driver's action server to be found; the lab manager asks again and again,
and brings the other devices up meanwhile."""

_SLACK_S = 10.0
_SLOWER = 3.0
"""A motion may take this many times its planned duration, and the slack, before it is late."""
_ARRIVED_RAD = 0.02
_STANDS_RAD_S = 0.01


@dataclass(frozen=True)
class GripReport:
    """How a stroke of the gripper ended."""

    holds: bool
    """Something stopped the fingers before they met."""


class RobotClients:
    """Sends motions to the robot's action servers and waits for them in ROS time.

    Parameters of the node: ``trajectory_action``, ``gripper_action``, ``navigation_action`` (names
    of the servers), ``gripper_open_position``, ``gripper_closed_position`` and ``gripper_effort``
    (of a GripperCommand), ``map_frame``.

    Args:
        node: the arm's.
    """

    def __init__(self, node: DeviceNode) -> None:
        self._node = node
        self._open = node.parameter("gripper_open_position", 0.050)
        self._closed = node.parameter("gripper_closed_position", 0.0)
        self._effort = node.parameter("gripper_effort", 20.0)
        self.map_frame = str(node.parameter("map_frame", "map"))
        """Of the map: base poses and paths are in it."""
        self._group = ReentrantCallbackGroup()
        self._names: list[str] = []

        def client(action_type: Any, parameter: str, default: str) -> ActionClient:
            name = node.parameter(parameter, default)
            self._names.append(name)
            return ActionClient(node, action_type, name, callback_group=self._group)

        self._arm = client(
            FollowJointTrajectory, "trajectory_action", "arm_controller/follow_joint_trajectory"
        )
        self._gripper = client(GripperCommand, "gripper_action", "gripper_controller/gripper_cmd")
        self._base = client(NavigateToPose, "navigation_action", "navigate_to_pose")
        self._current: tuple[ClientGoalHandle, Future] | None = None
        self._joints: JointState | None = None
        self._heard = threading.Condition()
        self._subscription = node.create_subscription(
            JointState,
            "joint_states",
            self._on_joints,
            10,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )

    def check(self) -> None:
        """See that all servers are there and the joints are heard, and stop what moves.

        Raises:
            DeviceError: DEVICE_UNREACHABLE, with what is missing.
        """
        for what, client in (
            ("trajectory controller", self._arm),
            ("gripper", self._gripper),
            ("base", self._base),
        ):
            if not client.wait_for_server(timeout_sec=_FOUND_S):
                raise _unreachable(f"the robot's {what} has no action server; start its driver")
        self._stop_all()

    def _stop_all(self) -> None:
        """Cancel whatever goals an earlier process left with the servers, and see it stand."""
        for name in self._names:
            # A cancel request without an id and without a time means all goals.
            client = self._node.create_client(
                CancelGoal, f"{name}/_action/cancel_goal", callback_group=self._group
            )
            try:
                if not client.wait_for_service(timeout_sec=_ANSWER_S) or not within(
                    client.call_async(CancelGoal.Request()), _ANSWER_S
                ):
                    raise _unreachable(f"{name} does not answer a cancel; look at its driver")
            finally:
                self._node.destroy_client(client)
        self.state_at_rest()

    def state_at_rest(self) -> RobotState:
        """Where the robot is now that it was told to stop.

        Raises:
            DeviceError: DEVICE_UNREACHABLE, it goes on moving or is not heard.
        """
        heard_before = self._joints

        def stands() -> bool:
            message = self._joints
            if message is None or message is heard_before:
                return False
            return all(abs(velocity) < _STANDS_RAD_S for velocity in message.velocity)

        with self._heard:
            if not self._heard.wait_for(stands, timeout=_ANSWER_S):
                raise _unreachable("the robot does not come to rest; look at its driver")
        return self.state()

    # Joint states -------------------------------------------------------------------------

    def _on_joints(self, message: JointState) -> None:
        with self._heard:
            self._joints = message
            self._heard.notify_all()

    def _fresh(self, since_ns: int) -> dict[str, float]:
        """Joints by name, stamped no earlier than `since_ns`."""

        def is_fresh() -> bool:
            return self._joints is not None and to_ns(self._joints.header.stamp) >= since_ns

        with self._heard:
            if not self._heard.wait_for(is_fresh, timeout=_ANSWER_S):
                raise _unreachable("no joint_states come from the robot; look at its driver")
            message = self._joints
        assert message is not None
        return dict(zip(message.name, message.position, strict=True))

    def state(self, since_ns: int = 0) -> RobotState:
        """Where the robot is.

        The base's place is unknown (None) where nobody publishes its joints, and the gripper is
        taken for open where nobody publishes the fingers.

        Raises:
            DeviceError: DEVICE_UNREACHABLE, no joint states come.
        """
        joints = self._fresh(since_ns)
        missing = [name for name in ARM_JOINTS if name not in joints]
        if missing:
            raise _unreachable(f"joint_states has no {', '.join(missing)}")
        base = None
        if all(name in joints for name in BASE_JOINTS):
            base = BasePose(*(joints[name] for name in BASE_JOINTS))
        gap = MOBILE_ARM.gripper_open_m
        if all(name in joints for name in FINGER_JOINTS):
            gap = sum(joints[name] for name in FINGER_JOINTS)
        return RobotState(base, tuple(joints[name] for name in ARM_JOINTS), gap)

    # Motions ------------------------------------------------------------------------------

    def drive(self, attempt: Attempt, motion: Drive) -> None:
        """Have the base go somewhere.

        Raises:
            AttemptCanceled: the attempt was cancelled; the base stands.
            DeviceError: it did not get there.
        """
        pose = PoseStamped()
        pose.header.frame_id = self.map_frame
        pose.header.stamp = self._node.time.now_msg()
        pose.pose.position = Point(x=motion.pose.x_m, y=motion.pose.y_m, z=0.0)
        w, x, y, z = motion.pose.quaternion()
        pose.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
        goal = NavigateToPose.Goal(pose=pose)
        status, result, _ = self._do(attempt, self._base, goal, motion.duration_s, "the base")
        if status != GoalStatus.STATUS_SUCCEEDED:
            raise _failed(f"the base did not arrive (navigation error {result.error_code})")

    def move(self, attempt: Attempt, motion: Move, *, holding: bool) -> None:
        """Have the arm follow a trajectory, then look where it is and what the gripper holds.

        Raises:
            AttemptCanceled: the attempt was cancelled; the arm stands.
            DeviceError: TRANSFER_TRAJECTORY_FAILED, or TRANSFER_DROPPED where `holding` and the
                gripper is found closed on nothing.
        """
        goal = FollowJointTrajectory.Goal(trajectory=_trajectory_message(motion.trajectory))
        status, result, began_ns = self._do(attempt, self._arm, goal, motion.duration_s, "the arm")
        if status != GoalStatus.STATUS_SUCCEEDED or result.error_code != result.SUCCESSFUL:
            why = result.error_string or f"error {result.error_code}"
            raise _failed(f"the arm did not follow its trajectory: {why}")
        # The end of the trajectory by the stamp, so that it is not an older message.
        state = self.state(began_ns + round(0.99e9 * motion.duration_s))
        distance = max(
            abs(there - planned)
            for there, planned in zip(state.joints_rad, motion.trajectory.end_rad, strict=True)
        )
        if distance > _ARRIVED_RAD:
            raise _failed(f"the arm ended {distance:.3f} rad away from the end of its trajectory")
        if holding and state.gripper is GripperReading.CLOSED:
            raise DeviceError(
                Fault.of(
                    FaultCode.TRANSFER_DROPPED,
                    "the gripper is empty at the end of a movement with a container; look for it",
                    sample_compromised=True,
                )
            )

    def grip(self, attempt: Attempt, motion: Grip) -> GripReport:
        """Open or close the gripper.

        Raises:
            AttemptCanceled: the attempt was cancelled.
            DeviceError: TRANSFER_GRIPPER_FAILED.
        """
        goal = GripperCommand.Goal()
        goal.command.position = self._closed if motion.closed else self._open
        goal.command.max_effort = self._effort
        status, result, _ = self._do(attempt, self._gripper, goal, motion.duration_s, "the gripper")
        # Some controllers call a stalled stroke a failure; for closing on a container it is not.
        holds = motion.closed and (result.stalled or not result.reached_goal)
        if status != GoalStatus.STATUS_SUCCEEDED and not (holds and result.stalled):
            word = "close" if motion.closed else "open"
            raise DeviceError(
                Fault.of(FaultCode.TRANSFER_GRIPPER_FAILED, f"the gripper did not {word}")
            )
        return GripReport(holds)

    def stop(self) -> bool:
        """Stop what moves; True when the robot says that it stands."""
        current = self._current
        if current is None:
            return True
        handle, ended = current
        handle.cancel_goal_async()
        stands = within(ended, _ANSWER_S)
        if stands:
            self._current = None
        return stands

    def _do(
        self, attempt: Attempt, client: ActionClient, goal: Any, duration_s: float, what: str
    ) -> tuple[int, Any, int]:
        """One goal from sending to its end: status, result, and ROS time of its acceptance.

        Between two motions the last word of this device stays that it waits for a goal which has
        ended: simulated time stands until it says which it waits for next.
        """
        if attempt.canceled:
            raise AttemptCanceled("cancelled")
        sent = client.send_goal_async(goal)
        if not within(sent, _ANSWER_S):
            # It may have arrived all the same: then it must not move while nobody watches.
            sent.add_done_callback(_cancel_accepted)
            raise _unreachable(f"{what} does not answer; look at its driver")
        handle: ClientGoalHandle = sent.result()
        if not handle.accepted:
            raise _failed(f"{what} refused the goal")
        ended = handle.get_result_async()
        self._current = handle, ended
        ended.add_done_callback(lambda _: self._node.time.notify())
        expected = 0.0 if math.isnan(duration_s) else duration_s
        patience_ns = round((_SLOWER * expected + _SLACK_S) * 1e9)
        if math.isnan(duration_s):
            patience_ns = round(600e9)
        goals: Sequence[UUID] = [handle.goal_id]
        try:
            attempt.wait_for(ended.done, goals, self._node.time.now_ns() + patience_ns, what)
        except (AttemptCanceled, DeviceError):
            # Time stands until the robot does.
            self._node.say(attempt, attempt.message.PHASE_CANCELING)
            if not self.stop():
                raise _unreachable(f"{what} was told to stop and does not confirm it") from None
            raise
        self._current = None
        response = ended.result()
        return response.status, response.result, to_ns(handle.stamp)


def _trajectory_message(path: trajectory.JointTrajectory) -> JointTrajectory:
    message = JointTrajectory(joint_names=list(path.joints))
    for time_s, positions, velocities in zip(
        path.times_s, path.positions_rad, path.velocities_rad_s, strict=True
    ):
        seconds, nanoseconds = divmod(round(float(time_s) * 1e9), 1_000_000_000)
        message.points.append(
            JointTrajectoryPoint(
                positions=[float(position) for position in positions],
                velocities=[float(velocity) for velocity in velocities],
                time_from_start=Duration(sec=seconds, nanosec=nanoseconds),
            )
        )
    return message


def within(future: Future, seconds: float) -> bool:
    """Whether a future is done within some seconds of steady time."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(seconds)


def _cancel_accepted(sent: Future) -> None:
    handle = sent.result()
    if handle is not None and handle.accepted:
        handle.cancel_goal_async()


def _failed(sentence: str) -> DeviceError:
    return DeviceError(Fault.of(FaultCode.TRANSFER_TRAJECTORY_FAILED, sentence))


def _unreachable(sentence: str) -> DeviceError:
    return DeviceError(Fault.of(FaultCode.DEVICE_UNREACHABLE, sentence))
