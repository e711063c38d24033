"""DH Robotics electric gripper (AG, PGE and RGI series) over Modbus RTU.

Registers as in the makers' manuals and A-Lab's published driver (alab_control,
dh_robotic_gripper): 0x0100 initialisation, 0x0101 force in percent, 0x0103 target in thousandths of
the stroke, 0x0104 speed in percent, 0x0200 initialisation state, 0x0201 gripper state, 0x0202
position in thousandths. 0 is closed, 1000 open.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from matlab_ros.instruments.modbus import ModbusMaster, ModbusRefusal
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

_INITIALISE, _FORCE, _TARGET, _SPEED = 0x0100, 0x0101, 0x0103, 0x0104
_STATE_BLOCK, _STATE_BLOCK_SIZE = 0x0200, 3
_FIND_BOTH_ENDS = 0xA5

MIN_FORCE_PERCENT, MAX_PERCENT, MIN_SPEED_PERCENT = 20, 100, 1
STROKE = 1000


class InitState(Enum):
    """Whether it knows its ends."""

    NOT_INITIALISED = 0
    INITIALISED = 1
    INITIALISING = 2


class GripState(Enum):
    """What the fingers do."""

    MOVING = 0
    ARRIVED = 1
    """At the target, with nothing between them."""
    GRASPED = 2
    """Stopped by something before the target."""
    DROPPED = 3
    """What was held is there no more."""


@dataclass(frozen=True)
class GripperStatus:
    """What the gripper says of itself.

    Attributes:
        init: whether it knows its ends.
        grip: what the fingers do.
        opening: where they are, 0 (closed) to 1 (open).
    """

    init: InitState
    grip: GripState
    opening: float

    @property
    def holds(self) -> bool:
        """Whether there is something between the fingers."""
        return self.init is InitState.INITIALISED and self.grip is GripState.GRASPED


class DhGripper:
    """Driver of the gripper. Moves are begun here and seen to end by `read_status`.

    On the hardware the state may be the last move's for a moment after a command: look at it first
    after a tenth of a second.

    Args:
        modbus: master of the gripper's unit (115200 baud in the factory setting).
        force_percent: of every move, 20 to 100.
        speed_percent: of every move, 1 to 100.
    """

    def __init__(
        self, modbus: ModbusMaster, *, force_percent: int = 30, speed_percent: int = 50
    ) -> None:
        if not MIN_FORCE_PERCENT <= force_percent <= MAX_PERCENT:
            raise ValueError(f"force of {force_percent} %; expected 20 to 100 %")
        if not MIN_SPEED_PERCENT <= speed_percent <= MAX_PERCENT:
            raise ValueError(f"speed of {speed_percent} %; expected 1 to 100 %")
        self._modbus = modbus
        self._force_percent = force_percent
        self._speed_percent = speed_percent

    @property
    def name(self) -> str:
        """The gripper's wire, for people."""
        return self._modbus.name

    def close(self) -> None:
        """Give the wire back. What it holds it goes on holding."""
        self._modbus.close()

    def read_status(self) -> GripperStatus:
        """Ask the gripper how it is.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        init, grip, position = self._modbus.read(_STATE_BLOCK, _STATE_BLOCK_SIZE)
        try:
            status = GripperStatus(InitState(init), GripState(grip), position / STROKE)
        except ValueError:
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"says its state is {init}, {grip}"
            ) from None
        return status

    def initialise(self) -> None:
        """Begin to look for both ends; it lets go of what it holds.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (it holds something: put that down first), or no contact.
        """
        if self.read_status().holds:
            raise self._error(
                FaultCode.DEVICE_NOT_ACTIVE, "holds something, and would drop it to find its ends"
            )
        self._write(_INITIALISE, _FIND_BOTH_ENDS)

    def move_to(self, opening: float) -> None:
        """Begin to move the fingers; something between them stops them and is held.

        Args:
            opening: 0 (closed) to 1 (open).

        Raises:
            DeviceError: INVALID_GOAL, DEVICE_NOT_ACTIVE (not initialised), or no contact.
        """
        if not 0 <= opening <= 1:
            raise self._error(FaultCode.INVALID_GOAL, f"an opening of {opening:g}; expected 0 to 1")
        status = self.read_status()
        if status.init is not InitState.INITIALISED:
            raise self._error(FaultCode.DEVICE_NOT_ACTIVE, "does not know its ends; initialise it")
        self._write(_FORCE, self._force_percent)
        self._write(_SPEED, self._speed_percent)
        self._write(_TARGET, round(opening * STROKE))

    def grasp(self) -> None:
        """Begin to close around something. See `move_to`."""
        self.move_to(0.0)

    def release(self) -> None:
        """Begin to open fully. See `move_to`."""
        self.move_to(1.0)

    def _write(self, address: int, value: int) -> None:
        try:
            self._modbus.write(address, value)
        except ModbusRefusal as refusal:
            raise self._error(
                FaultCode.DEVICE_NOT_ACTIVE, f"refused 0x{value:02X} at 0x{address:04X} ({refusal})"
            ) from refusal

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name} {problem}."))
