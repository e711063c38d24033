"""What the arm's own controller says of power, brakes, safety and control, for the arm's node."""

from __future__ import annotations

import threading

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType

from matlab_ros.instruments.plugs import Plug, plug_of
from matlab_ros.instruments.transport import Deadline
from matlab_ros.instruments.ur_dashboard import RobotMode, RobotStatus, UrDashboard
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.nodes.device_node import DeviceNode

WATCH_S = 1.0
"""Steady time between looks at the console."""
POWER_UP_S, POWER_LOOK_S = 60.0, 0.5
"""Steady time for power and brakes, and between looks at them."""


class ArmConsole:
    """The console of an arm whose device in the lab's file has a ``dashboard`` port; else nothing.

    Parameters of the node: ``dashboard_address``, ``dashboard_driver`` (instead of the lab's file),
    ``dashboard_patience_s`` (steady seconds for an answer), ``power_up`` (whether configuring
    switches the power on and releases the brakes; by default somebody does it at the screen).

    Args:
        node: the arm's; its fault tells when the arm cannot move.
    """

    def __init__(self, node: DeviceNode) -> None:
        self._node = node
        self._plug: Plug[UrDashboard] = plug_of(
            node.device,
            "dashboard",
            name=node.parameter("dashboard_driver", ""),
            port=node.parameter("dashboard_address", ""),
        )
        self._reply_s: float = node.parameter("dashboard_patience_s", 2.0)
        self._powers_up: bool = node.parameter("power_up", False)
        self._dashboard: UrDashboard | None = None
        self._told: Fault | None = None
        """The fault that the node has from here."""
        self._over = threading.Event()
        node.create_timer(
            WATCH_S,
            self._watch,
            callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    def connect(self) -> None:
        """See that the arm can move, after it was powered up where that is wanted; at most
        `POWER_UP_S` of steady time.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (it cannot, and why), or no contact.
        """
        self.disconnect()
        if not self._plug:
            return
        dashboard = self._plug.open(deadline_s=self._reply_s)
        try:
            if self._powers_up:
                self._power_up(dashboard)
            self._require(dashboard.read_status())
        except BaseException:
            dashboard.close()
            raise
        self._dashboard, self._told = dashboard, None

    def disconnect(self) -> None:
        """Give the wire back; the arm stays as it is."""
        dashboard, self._dashboard = self._dashboard, None
        if dashboard is not None:
            dashboard.close()

    def require_ready(self) -> None:
        """See that the arm can move now.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (it cannot, and why), or no contact.
        """
        dashboard = self._dashboard
        if dashboard is not None:
            self._require(dashboard.read_status())

    def stop(self) -> bool:
        """Stop the program that moves the arm, where the console takes it; whether it did."""
        dashboard = self._dashboard
        if dashboard is None:
            return False
        try:
            dashboard.stop()
        except DeviceError as error:
            self._node.get_logger().error(str(error))
            return False
        return True

    def _power_up(self, dashboard: UrDashboard) -> None:
        limit = Deadline(POWER_UP_S)
        while not limit.over:
            mode = dashboard.robot_mode()
            if mode is RobotMode.RUNNING:
                return
            if mode is RobotMode.POWER_OFF:
                dashboard.power_on()
            elif mode is RobotMode.IDLE:
                dashboard.release_brakes()
            self._over.wait(POWER_LOOK_S)

    def _watch(self) -> None:
        """Tell when the arm cannot move any more, and when it can again."""
        if self._dashboard is None:
            return
        fault: Fault | None = None
        try:
            self.require_ready()
        except DeviceError as error:
            fault = error.fault
        told = self._told
        if (fault and fault.message) != (told and told.message):
            self._told = fault
            self._node.fault(fault)

    def _require(self, status: RobotStatus) -> None:
        """Raise where the arm cannot move."""
        if status.can_move:
            return
        control = "remote" if status.is_remote else "local"
        raise DeviceError(
            Fault.of(
                FaultCode.DEVICE_NOT_ACTIVE,
                f"{self._node.device.name} cannot move: power {status.mode.value}, safety "
                f"{status.safety.value}, {control} control, program {status.program.value}; look "
                "at its screen",
            )
        )
