"""A gripper's node: opens and closes a gripper that has a wire of its own."""

from __future__ import annotations

import math
import sys
import threading
from pathlib import Path
from typing import Any

from control_msgs.action import GripperCommand
from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from matlab_ros.instruments.dh_gripper import DhGripper, GripperStatus, GripState, InitState
from matlab_ros.instruments.plugs import plug_of
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import load_lab
from matlab_ros.nodes.device_node import declare, run_node
from matlab_ros.nodes.ros_time import RosTime

LOOK_S = 0.1
"""ROS time between looks; before it, the state may be the last stroke's."""
STROKE_PATIENCE_S = 15.0
"""ROS time for one stroke, or for finding both ends."""


class GripperNode(Node):
    """Offers ``gripper_controller/gripper_cmd`` for the gripper of an arm, which has a ``gripper``
    port in the lab's file. An arm whose driver offers that action itself needs no such node.

    Parameters: ``lab_file``, ``device`` (the arm's name), ``gripper_port`` and ``gripper_driver``
    (instead of the lab's file), ``gripper_action`` (the action's name), ``stroke_m`` (between the
    fingers when it is open), ``reply_patience_s`` (steady seconds for an answer). The greatest
    effort of a goal is not used: the driver's own force is.
    """

    def __init__(self) -> None:
        super().__init__("gripper")
        lab = load_lab(Path(declare(self, "lab_file", "")))
        device = lab.device(declare(self, "device", "arm"))
        plug = plug_of(
            device,
            "gripper",
            name=declare(self, "gripper_driver", ""),
            port=declare(self, "gripper_port", ""),
        )
        if not plug:
            raise ConfigError("lab file", f"{device.name}.ports.gripper", "is missing", "a port")
        self._stroke_m: float = declare(self, "stroke_m", 0.050)
        self._gripper: DhGripper = plug.open(deadline_s=declare(self, "reply_patience_s", 0.5))
        self._time = RosTime(self)
        self._moving = threading.Lock()
        self._server = ActionServer(
            self,
            GripperCommand,
            declare(self, "gripper_action", "gripper_controller/gripper_cmd"),
            execute_callback=self._execute,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
        )

    def destroy_node(self) -> None:
        """Give the wire back; what is held stays held."""
        self._server.destroy()
        self._gripper.close()
        super().destroy_node()

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        self._time.notify()
        return CancelResponse.ACCEPT

    def _execute(self, handle: ServerGoalHandle) -> Any:
        if not self._moving.acquire(blocking=False):
            self.get_logger().error("a stroke is under way; the goal is refused")
            handle.abort()
            return GripperCommand.Result(position=math.nan, effort=math.nan)
        try:
            status = self._stroke(handle)
        except DeviceError as error:
            self.get_logger().error(str(error))
            handle.abort()
            return GripperCommand.Result(position=math.nan, effort=math.nan)
        finally:
            self._moving.release()
        if handle.is_cancel_requested:
            handle.canceled()
        elif status.grip is GripState.DROPPED:
            handle.abort()
        else:
            handle.succeed()
        return GripperCommand.Result(
            position=status.opening * self._stroke_m,
            effort=math.nan,
            stalled=status.grip is GripState.GRASPED,
            reached_goal=status.grip is GripState.ARRIVED,
        )

    def _stroke(self, handle: ServerGoalHandle) -> GripperStatus:
        """One stroke to its end, or to its cancel.

        Raises:
            DeviceError: the gripper's own, or DEADLINE_EXCEEDED.
        """
        gripper = self._gripper
        status = gripper.read_status()
        if status.init is InitState.NOT_INITIALISED:
            gripper.initialise()
        if status.init is not InitState.INITIALISED:
            self._until(handle, lambda now: now.init is InitState.INITIALISED, "finding its ends")
        opening = handle.request.command.position / self._stroke_m
        gripper.move_to(min(max(opening, 0.0), 1.0))
        status = self._until(handle, lambda now: now.grip is not GripState.MOVING, "a stroke")
        if handle.is_cancel_requested and status.grip is GripState.MOVING:
            # Where it is now is where it is to stay.
            gripper.move_to(status.opening)
        return status

    def _until(self, handle: ServerGoalHandle, done: Any, what: str) -> GripperStatus:
        """Look until it is done, or cancelled."""
        began_ns = self._time.now_ns()
        while True:
            now_ns = self._time.now_ns()
            self._time.wait_until(
                now_ns + round(LOOK_S * 1e9), lambda: bool(handle.is_cancel_requested)
            )
            status = self._gripper.read_status()
            if done(status) or handle.is_cancel_requested:
                return status
            if self._time.now_ns() - began_ns > STROKE_PATIENCE_S * 1e9:
                raise DeviceError(
                    Fault.of(
                        FaultCode.DEADLINE_EXCEEDED,
                        f"{self._gripper.name}: {what} did not end within {STROKE_PATIENCE_S:g} s",
                    )
                )


def main(arguments: list[str] | None = None) -> int:
    """Run the gripper's node."""
    return run_node(GripperNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
