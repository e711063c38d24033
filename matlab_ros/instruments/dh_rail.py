"""DH Robotics MCE-4G linear rail over Modbus RTU, and the magazine of dosing heads it carries.

Registers as in A-Lab's published driver (alab_control, dh_linear_rail): 0x1600 position in 0.01 mm,
0x1602 speed in 0.1 mm/s, 0x1603 acceleration, 0x1605 control word, 0x160F alarm, 0x1611 status.
The bits of the status word are not documented there beyond its code; see `StatusBits`.
"""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.instruments.modbus import ModbusMaster, ModbusRefusal
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

_POSITION = 0x1600
_SPEED = 0x1602
_CONTROL = 0x1605
_ALARM = 0x160F
_STATUS = 0x1611

_MOVE, _HOME, _CLEAR_ALARM = 0x21, 0x22, 0x30
MAX_POSITION_MM = 655.35
"""What a 16-bit register in hundredths of a millimetre can say."""


@dataclass(frozen=True)
class StatusBits:
    """Which bits of the status word say what; check them on the rail at hand.

    Attributes:
        moving: 1 while the carriage moves.
        homed: 0 while it looks for its zero.
    """

    moving: int = 8
    homed: int = 6


@dataclass(frozen=True)
class RailStatus:
    """What the rail says of itself.

    Attributes:
        moving: the carriage is under way, homing included.
        homed: it knows its zero.
        commanded_mm: position it was last sent to.
        alarm: code of the alarm, 0 for none. It refuses to move until `clear_alarm`.
    """

    moving: bool
    homed: bool
    commanded_mm: float
    alarm: int

    def arrived(self, position_mm: float) -> bool:
        """Whether it stands at this position."""
        return (
            self.homed
            and not self.moving
            and self.alarm == 0
            and abs(self.commanded_mm - position_mm) < 0.006
        )


class LinearRail:
    """Driver of the rail. Moves are begun here and seen to end by `read_status`.

    On the hardware the status may say "standing" for a moment after a command: look at it first
    after half a second.

    Args:
        modbus: master of the rail's unit (115200 baud in the factory setting).
        travel_mm: length of the way.
        speed_mm_per_s: of every move.
        bits: of the status word.
    """

    def __init__(
        self,
        modbus: ModbusMaster,
        *,
        travel_mm: float,
        speed_mm_per_s: float = 100.0,
        bits: StatusBits | None = None,
    ) -> None:
        if not 0 < travel_mm <= MAX_POSITION_MM:
            raise ValueError(f"travel of {travel_mm:g} mm; expected up to {MAX_POSITION_MM} mm")
        self._modbus = modbus
        self._travel_mm = travel_mm
        self._speed_mm_per_s = speed_mm_per_s
        self._bits = bits if bits is not None else StatusBits()

    @property
    def name(self) -> str:
        """The rail's wire, for people."""
        return self._modbus.name

    def close(self) -> None:
        """Give the wire back."""
        self._modbus.close()

    def read_status(self) -> RailStatus:
        """Ask the rail how it is.

        Raises:
            DeviceError: no contact.
        """
        (commanded,) = self._modbus.read(_POSITION)
        (alarm,) = self._modbus.read(_ALARM)
        (word,) = self._modbus.read(_STATUS)
        return RailStatus(
            moving=bool(word >> self._bits.moving & 1),
            homed=bool(word >> self._bits.homed & 1),
            commanded_mm=commanded / 100,
            alarm=alarm,
        )

    def home(self) -> None:
        """Begin to look for the zero position.

        Raises:
            DeviceError: an alarm stands, or no contact.
        """
        self._require_no_alarm(self.read_status())
        self._command(_HOME)

    def move_to(self, position_mm: float) -> None:
        """Begin to move.

        Raises:
            DeviceError: INVALID_GOAL (off the rail), DEVICE_BUSY (it moves), DEVICE_NOT_ACTIVE (an
                alarm stands, or it was not homed), or no contact.
        """
        if not 0 <= position_mm <= self._travel_mm:
            raise self._error(
                FaultCode.INVALID_GOAL,
                f"position {position_mm:g} mm; the rail goes from 0 to {self._travel_mm:g} mm",
            )
        status = self.read_status()
        self._require_no_alarm(status)
        if status.moving:
            raise self._error(FaultCode.DEVICE_BUSY, "the carriage is moving")
        if not status.homed:
            raise self._error(FaultCode.DEVICE_NOT_ACTIVE, "it does not know its zero; home it")
        word = round(position_mm * 100)
        self._modbus.write(_SPEED, round(self._speed_mm_per_s * 10))
        self._modbus.write(_POSITION, word)
        if self._modbus.read(_POSITION) != (word,):
            raise self._error(FaultCode.PROTOCOL_ERROR, "did not keep the position it was given")
        self._command(_MOVE)

    def clear_alarm(self) -> None:
        """Clear an alarm, after somebody removed its cause. Moves nothing.

        Raises:
            DeviceError: no contact.
        """
        self._command(_CLEAR_ALARM)

    def _command(self, word: int) -> None:
        try:
            self._modbus.write(_CONTROL, word)
        except ModbusRefusal as refusal:
            raise self._error(
                FaultCode.DEVICE_NOT_ACTIVE, f"refused the command 0x{word:02X} ({refusal})"
            ) from refusal

    def _require_no_alarm(self, status: RailStatus) -> None:
        if status.alarm:
            raise self._error(
                FaultCode.DEVICE_NOT_ACTIVE,
                f"alarm {status.alarm} stands; look at the rail, then clear it",
            )

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name}: {problem}."))


class HeadMagazine:
    """Dosing heads side by side on the rail; a slot's head comes before the dosing unit.

    The head must be unlocked from the unit before the rail moves, and locked after it.

    Args:
        rail: that carries them.
        pitch_mm: from one slot to the next.
        slots: how many there are, counted from 1.
        first_mm: rail position that brings slot 1.
    """

    def __init__(
        self, rail: LinearRail, *, pitch_mm: float, slots: int, first_mm: float = 0.0
    ) -> None:
        self._rail = rail
        self._pitch_mm = pitch_mm
        self._slots = slots
        self._first_mm = first_mm

    @property
    def rail(self) -> LinearRail:
        """The rail, for homing and alarms."""
        return self._rail

    def position_mm(self, slot: int) -> float:
        """Rail position that brings a slot.

        Raises:
            DeviceError: INVALID_GOAL, there is no such slot.
        """
        if not 1 <= slot <= self._slots:
            raise DeviceError(
                Fault.of(
                    FaultCode.INVALID_GOAL,
                    f"{self._rail.name}: magazine slot {slot}; there are 1 to {self._slots}.",
                )
            )
        return self._first_mm + (slot - 1) * self._pitch_mm

    def bring(self, slot: int) -> None:
        """Begin to bring a slot's head to the dosing unit.

        Raises:
            DeviceError: see `LinearRail.move_to`.
        """
        self._rail.move_to(self.position_mm(slot))

    def has_brought(self, slot: int) -> bool:
        """Whether the slot's head stands before the dosing unit.

        Raises:
            DeviceError: an alarm stands, or no contact.
        """
        status = self._rail.read_status()
        if status.alarm:
            raise DeviceError(
                Fault.of(
                    FaultCode.DEVICE_NOT_ACTIVE,
                    f"{self._rail.name}: alarm {status.alarm} while bringing slot {slot}; look at "
                    "the rail, then clear it.",
                )
            )
        return status.arrived(self.position_mm(slot))
