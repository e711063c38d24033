"""The arm's node: carries containers from position to position."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
from collections.abc import Iterator
from typing import Any

from geometry_msgs.msg import Point, PoseStamped
from nav_msgs.msg import Path

from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.nodes.arm_console import ArmConsole
from matlab_ros.nodes.device_node import LATCHED, Attempt, AttemptCanceled, DeviceNode, run_node
from matlab_ros.nodes.reaching_in import FurnaceEntry
from matlab_ros.nodes.robot_clients import RobotClients
from matlab_ros.robot.mobile_arm import MOBILE_ARM, FloatArray
from matlab_ros.robot.plan import (
    GRIPPER_POSITION,
    Drive,
    Grip,
    GripperReading,
    Move,
    NoPlan,
    RobotState,
    Stage,
    StageKind,
    TransferPlan,
    Whereabouts,
)
from matlab_ros.robot.scene import UnknownPosition
from matlab_ros.robot.tool_path import tool_path
from matlab_ros.robot.transfer import is_tucked, plan_retreat, plan_transfer
from matlab_ros_interfaces.action import TransferSample
from matlab_ros_interfaces.msg import SampleOutcome


class ArmNode(DeviceNode):
    """Plans each transfer as a whole, then has the robot's controllers carry it out.

    A transfer that is broken off leaves the arm where it is, and says where the container is: at
    the source, at the target, in the gripper (position ``<device>/gripper``, which a later
    transfer may name as its source), or nobody knows. An attempt that an earlier process of this
    node left halfway is gone on with, from what that process wrote down and what the gripper says.

    Before it reaches into a furnace it asks the furnace's node, and waits outside while that says
    no: parameter ``furnace_patience_s`` (ROS time). Before each movement it asks the arm's console,
    see `ArmConsole`.
    """

    def __init__(self) -> None:
        super().__init__("arm")
        self._robot = RobotClients(self)
        self._console = ArmConsole(self)
        self._entry = FurnaceEntry(self, self.parameter("furnace_patience_s", 1800.0))
        self._moving = threading.Lock()
        self._paths = self.create_publisher(Path, "~/planned_path", LATCHED)
        self.offer(
            TransferSample,
            "transfer_sample",
            self._transfer,
            lambda goal: [(goal.sample_id, goal.source)],
        )

    def connect(self) -> None:
        """See that the arm can move, and that the robot's controllers are there."""
        self._console.connect()
        self._robot.check()
        if is_tucked(self._robot.state()):
            # A furnace that does not answer must not keep the arm from being brought up.
            self._entry.outside(at_once=False)

    def disconnect(self) -> None:
        """Give the console back."""
        self._console.disconnect()

    def make_safe(self) -> None:
        """Stop every movement; where nobody confirms it, stop the program that moves the arm."""
        if not self._robot.stop() and not self._console.stop():
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_UNREACHABLE,
                    f"{self.device.name} was told to stop and does not confirm it; use the "
                    "emergency stop of the hardware",
                )
            )

    def show(self, points_m: FloatArray) -> None:
        """Publish the way that the tool will take, shape (n, 3), in the map."""
        path = Path()
        path.header.frame_id = self._robot.map_frame
        path.header.stamp = self.time.now_msg()
        for x, y, z in points_m:
            pose = PoseStamped(header=path.header)
            pose.pose.position = Point(x=float(x), y=float(y), z=float(z))
            path.poses.append(pose)
        self._paths.publish(path)

    def _transfer(self, attempt: Attempt, goal: Any, result: Any) -> None:
        if not self._moving.acquire(blocking=False):
            result.final_position = goal.source
            raise DeviceError(
                Fault.of(FaultCode.DEVICE_BUSY, f"{self.device.name} is busy with another transfer")
            )
        try:
            _Transfer(self, self._robot, self._console, self._entry, attempt, goal, result).run()
        finally:
            self._moving.release()


class _Transfer:
    """One transfer under way: knows at every moment where the container is."""

    def __init__(
        self,
        node: ArmNode,
        robot: RobotClients,
        console: ArmConsole,
        entry: FurnaceEntry,
        attempt: Attempt,
        goal: Any,
        result: Any,
    ) -> None:
        self._node, self._robot, self._console, self._entry = node, robot, console, entry
        self._attempt, self._goal, self._result = attempt, goal, result
        self._gripper = f"{node.device.name}/{GRIPPER_POSITION}"

    def run(self) -> None:
        """The whole transfer.

        Raises:
            AttemptCanceled: cancelled; the robot stands.
            DeviceError: why it ended before the container stood at the target.
        """
        plan = self._plan()
        self._result.path_length_m = plan.path_length_m
        for index, stage in enumerate(plan.stages):
            self._announce(plan, index)
            try:
                self._do(plan, index)
            except AttemptCanceled:
                self._found(stage)
                raise
            except DeviceError as error:
                self._found(stage, error.fault.code)
                raise
        self._entry.outside()
        self._at(self._goal.target, SampleOutcome.DONE)

    def _plan(self) -> TransferPlan:
        self._attempt.step("planning")
        self._attempt.feedback(
            TransferSample.Feedback(
                stage=int(StageKind.PLANNING), progress=0.0, remaining_s=math.nan
            )
        )
        start = self._robot.state()
        plan = self._plan_from(start)
        self._node.show(tool_path(plan, start))
        return plan

    def _plan_from(self, start: RobotState) -> TransferPlan:
        source = self._goal.source
        if self._attempt.resumed:
            where = whereabouts(self._attempt.note, start)
            if where is None:
                raise self._lost()
            if where is Whereabouts.TARGET:
                self._at(self._goal.target, SampleOutcome.DONE)
                with _refusals():
                    return plan_retreat(self._node.lab, source, self._goal.target, start)
            if where is Whereabouts.GRIPPER:
                source = self._gripper
        if source == self._gripper and start.gripper is not GripperReading.HOLDING:
            self._at("", SampleOutcome.LOST)
            raise DeviceError(
                Fault.of(
                    FaultCode.TRANSFER_SOURCE_EMPTY,
                    f"the gripper of {self._node.device.name} holds nothing; look where "
                    f"{self._goal.container_id or 'the container'} is",
                )
            )
        self._at(source, SampleOutcome.UNTOUCHED)
        with _refusals():
            return plan_transfer(
                self._node.lab,
                source,
                self._goal.target,
                start,
                keep_upright=self._goal.keep_upright,
            )

    def _announce(self, plan: TransferPlan, index: int) -> None:
        stage = plan.stages[index]
        remaining = plan.remaining_s(index)
        whole = plan.duration_s
        progress = math.nan if math.isnan(whole) else 1 - remaining / whole
        expected = 0
        if not math.isnan(remaining):
            expected = self._node.time.now_ns() + round(remaining * 1e9)
        self._attempt.step(stage.step, progress, expected)
        self._attempt.feedback(
            TransferSample.Feedback(stage=int(stage.kind), progress=progress, remaining_s=remaining)
        )

    def _do(self, plan: TransferPlan, index: int) -> None:
        stage = plan.stages[index]
        self._console.require_ready()
        if isinstance(stage.action, Drive):
            # The base moves with the arm tucked only.
            self._entry.outside()
        elif stage.station:
            self._entry.enter(self._attempt, stage.station)
        self._attempt.remember(stage.container.value)
        if isinstance(stage.action, Drive):
            self._robot.drive(self._attempt, stage.action)
        elif isinstance(stage.action, Move):
            holding = stage.container is Whereabouts.GRIPPER
            self._robot.move(self._attempt, stage.action, holding=holding)
        else:
            report = self._robot.grip(self._attempt, stage.action)
            if stage.action.closed and not report.holds:
                self._retreat_empty(plan.stages[index + 1])

    def _retreat_empty(self, lift: Stage) -> None:
        """Nothing stood at the source: open, leave, and say so."""
        opening = Grip(False, MOBILE_ARM.gripper_open_m, MOBILE_ARM.gripper_stroke_s)
        self._robot.grip(self._attempt, opening)
        if isinstance(lift.action, Move):
            self._robot.move(self._attempt, lift.action, holding=False)
        raise DeviceError(
            Fault.of(
                FaultCode.TRANSFER_SOURCE_EMPTY,
                f"{self._node.device.name} found no container at {self._goal.source}; look where "
                f"{self._goal.container_id or 'it'} is",
            )
        )

    def _found(self, stage: Stage, code: FaultCode = FaultCode.NONE) -> None:
        """Say where the container is after a stage was broken off."""
        where: Whereabouts | None = stage.container
        if code in (FaultCode.TRANSFER_SOURCE_EMPTY, FaultCode.TRANSFER_DROPPED):
            where = None
        elif isinstance(stage.action, Grip):
            where = self._after_stroke(stage)
        if where is None:
            self._at("", SampleOutcome.LOST)
        elif where is Whereabouts.SOURCE:
            self._at(self._goal.source, SampleOutcome.UNTOUCHED)
        elif where is Whereabouts.TARGET:
            self._at(self._goal.target, SampleOutcome.DONE)
        else:
            self._at(self._gripper, SampleOutcome.PARTIAL)

    def _after_stroke(self, stage: Stage) -> Whereabouts | None:
        """Where the container is after a stroke of the gripper of which nobody told the end."""
        try:
            return whereabouts(stage.container.value, self._robot.state_at_rest())
        except DeviceError:
            return None

    def _at(self, position: str, outcome: int) -> None:
        self._result.final_position = position
        if self._goal.sample_id:
            self._attempt.touched(self._goal.sample_id, outcome, position)

    def _lost(self) -> DeviceError:
        """An earlier process began this attempt, and nothing tells where the container is."""
        self._at("", SampleOutcome.LOST)
        container = self._goal.container_id or "the container"
        return DeviceError(
            Fault.of(
                FaultCode.INTERRUPTED,
                f"{self._node.device.name} was restarted in the middle of attempt "
                f"{self._attempt.attempt_id}, and the gripper no longer holds {container}; look "
                "for it",
                sample_compromised=True,
            )
        )


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What the planner refuses, as a device's fault."""
    try:
        yield
    except UnknownPosition as error:
        fault = Fault.of(FaultCode.TRANSFER_UNKNOWN_POSITION, str(error))
        raise DeviceError(fault) from error
    except NoPlan as error:
        raise DeviceError(Fault.of(FaultCode.TRANSFER_NO_PLAN, str(error))) from error


def whereabouts(note: str, state: RobotState) -> Whereabouts | None:
    """Where the container of a transfer is that was broken off by the death of its process.

    Args:
        note: what was written down before the last stage; empty before the first.
        state: of the robot now, at rest.

    Returns:
        None where nobody knows.
    """
    # What the gripper may hold before the first stage is none of this attempt's.
    if note == "":
        return Whereabouts.SOURCE
    if state.gripper is GripperReading.HOLDING:
        return Whereabouts.GRIPPER
    # Before the gripper was told to close, or while it closed, nothing was lifted.
    if note == Whereabouts.SOURCE.value:
        return Whereabouts.SOURCE
    # The target is noted before the gripper is told to open, at the target.
    if note == Whereabouts.TARGET.value and state.gripper is GripperReading.OPEN:
        return Whereabouts.TARGET
    return None


def main(arguments: list[str] | None = None) -> int:
    """Run the arm's node."""
    return run_node(ArmNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
