"""A furnace with its door and who reaches into it: each is asked before another is moved.

The rules, here and nowhere else: nothing heats while the door is not closed or an arm is inside;
the door opens, and an arm reaches in, only below `FurnaceLimits.open_below_c`, without a program,
with the heater off and nothing that would switch it on; what is not known counts as hot, as open
and as occupied. See docs/safety.md.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from matlab_ros.instruments.door import DoorController, DoorMotion, DoorStatus
from matlab_ros.instruments.heat_controller import (
    ControllerStatus,
    HeatController,
    ProgramState,
    Reading,
)
from matlab_ros.instruments.heat_program import HeatSegment, check_program
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_config import FurnaceLimits

MakeDoor = Callable[[Callable[[str], None]], DoorController]
"""Gives the driver of the door, given who is asked before it opens."""

_MOST_SEGMENTS = 64
_HEATING = (ProgramState.RUN, ProgramState.HOLD)


class GuardedFurnace:
    """One furnace as a whole. Methods are short exchanges; none waits for heat or for a door.

    Args:
        name: of the furnace, for people.
        controller: of its heater.
        limits: of what may be asked for.
        make_door: gives the driver of its door; None: no motor moves it.
        letter: the door's name at its controller.
        inside: arms that were inside when an earlier process of this furnace ended.
        corrected: what the thermocouple's calibration makes of its reading.
        on_inside: told who is inside, before that counts.
    """

    def __init__(
        self,
        name: str,
        controller: HeatController,
        limits: FurnaceLimits,
        *,
        make_door: MakeDoor | None = None,
        letter: str = "A",
        inside: Collection[str] = (),
        corrected: Callable[[float], float] = lambda reading: reading,
        on_inside: Callable[[Collection[str]], None] = lambda arms: None,
    ) -> None:
        self.name = name
        self.controller = controller
        self._limits = limits
        self._letter = letter
        self._door = make_door(self._may_open) if make_door is not None else None
        self._inside = set(inside)
        self._corrected = corrected
        self._on_inside = on_inside
        self._lock = threading.RLock()

    @property
    def inside(self) -> tuple[str, ...]:
        """Arms that reach in, or may."""
        return tuple(sorted(self._inside))

    def close(self) -> None:
        """Give the wires back. What the furnace does goes on."""
        self.controller.close()
        if self._door is not None:
            self._door.close()

    # Looking

    def read(self) -> Reading:
        """Temperatures and heater output now, corrected.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return self._correct(self.controller.read())

    def read_status(self) -> ControllerStatus:
        """Everything that changes while a program runs, corrected.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        status = self.controller.read_status()
        return replace(status, reading=self._correct(status.reading))

    def _correct(self, reading: Reading) -> Reading:
        return replace(reading, measured_c=self._corrected(reading.measured_c))

    # Heating

    def check(self, program: Sequence[HeatSegment]) -> None:
        """Refuse a program outside the limits; asks nobody. The driver and the controller check
        again what they know.

        Raises:
            DeviceError: HEAT_OUT_OF_RANGE.
        """
        check_program(program, self._limits, max_segments=_MOST_SEGMENTS, who=self.name)

    def shut(self) -> bool:
        """Whether the furnace is ready to be heated; begins to close its door where it is open.

        Raises:
            DeviceError: HEAT_INTERLOCKED (an arm is inside), or the door's own.
        """
        with self._lock:
            self._require_empty()
            if self._door is None:
                return True
            status = self._door.read_status()
            if status.is_closed(self._letter):
                return True
            if status.motion is not DoorMotion.MOVING:
                self._door.close_door(self._letter)
            return False

    def start(self) -> None:
        """Start the program that was written.

        Raises:
            DeviceError: HEAT_INTERLOCKED, or the controller's own.
        """
        with self._lock:
            self._require_empty()
            self._require_closed()
            self.controller.start()

    def guard(self, status: ControllerStatus) -> None:
        """Say whether what was read while a program runs is a reason to stop heating.

        Raises:
            DeviceError: HEAT_SENSOR_BREAK, HEAT_OVER_TEMPERATURE or HEAT_INTERLOCKED.
        """
        self.controller.guard(status.reading)
        if status.state in _HEATING:
            with self._lock:
                self._require_closed()

    def _require_empty(self) -> None:
        if self._inside:
            raise _refusal(
                FaultCode.HEAT_INTERLOCKED,
                f"{self.name} is not heated: {', '.join(self.inside)} may be inside; move it out",
            )

    def _require_closed(self) -> None:
        if self._door is None:
            return
        try:
            closed = self._door.read_status().is_closed(self._letter)
        except DeviceError as error:
            raise _refusal(
                FaultCode.HEAT_INTERLOCKED,
                f"{self.name} is not heated: nobody knows whether its door is closed "
                f"({error.fault.message})",
            ) from error
        if not closed:
            raise _refusal(
                FaultCode.HEAT_INTERLOCKED,
                f"{self.name} is not heated: its door is not closed; look at it",
            )

    # Reaching in

    def admit(self, arm: str) -> bool:
        """Let an arm reach in; begins to open the door where it is closed.

        Returns:
            Whether it may now; else the door is opening, and it asks again.

        Raises:
            DeviceError: TRANSFER_INTERLOCKED; it is too hot, or nobody knows.
        """
        with self._lock, _as_interlock(f"{arm} does not reach into {self.name}"):
            self._require_cool()
            if self._door is not None:
                status = self._door.read_status()
                if not status.is_open(self._letter):
                    self._begin_to_open(status)
                    return False
            self._note(self._inside | {arm})
            return True

    def left(self, arm: str) -> None:
        """An arm is outside again; the door stays as it is."""
        with self._lock:
            self._note(self._inside - {arm})

    def _begin_to_open(self, status: DoorStatus) -> None:
        assert self._door is not None
        if status.motion is DoorMotion.FAILED or not status.is_closed(self._letter):
            if status.motion is not DoorMotion.MOVING:
                raise _refusal(
                    FaultCode.TRANSFER_INTERLOCKED,
                    "its door did not reach a switch; look at it, then restart its controller",
                )
            return
        self._door.open_door(self._letter)

    def _may_open(self, letter: str) -> None:
        if letter == self._letter:
            self._require_cool()

    def _require_cool(self) -> None:
        """See, by a reading of this moment, that the furnace is cold enough to be opened."""
        status = self.controller.read_status()
        raw_c, limit_c = status.reading.measured_c, self._limits.open_below_c
        # Whichever is hotter: a certificate may be wrong.
        measured_c = max(raw_c, self._corrected(raw_c))
        if status.state in _HEATING:
            raise _refusal(
                FaultCode.TRANSFER_INTERLOCKED,
                f"its program is {'on hold' if status.state is ProgramState.HOLD else 'running'}; "
                "cancel it or wait for its end",
            )
        if _is_unknown(status.reading):
            raise _refusal(
                FaultCode.TRANSFER_INTERLOCKED,
                "its thermocouple is broken, so nobody knows how hot it is",
            )
        if status.reading.setpoint_c >= measured_c:
            # Somebody set it at the controller's front, and it begins to heat at its next sample.
            raise _refusal(
                FaultCode.TRANSFER_INTERLOCKED,
                f"its set point is {status.reading.setpoint_c:g} C without a program; set it lower "
                "at the controller's front",
            )
        if status.reading.output_percent > 0:
            # A controller goes on with its last output until its next sample.
            raise _refusal(FaultCode.TRANSFER_INTERLOCKED, "its heater is still on; ask again")
        if not measured_c < limit_c:
            raise _refusal(
                FaultCode.TRANSFER_INTERLOCKED,
                f"it is at {measured_c:.0f} C and is opened below {limit_c:g} C",
            )

    def _note(self, arms: set[str]) -> None:
        if arms != self._inside:
            self._on_inside(sorted(arms))
            self._inside = arms


def _is_unknown(reading: Reading) -> bool:
    return reading.sensor_break or reading.measured_c != reading.measured_c


@contextlib.contextmanager
def _as_interlock(what: str) -> Iterator[None]:
    """Whatever goes wrong inside is a reason not to do `what`."""
    try:
        yield
    except DeviceError as error:
        raise _refusal(FaultCode.TRANSFER_INTERLOCKED, f"{what}: {error.fault.message}") from error


def _refusal(code: FaultCode, sentence: str) -> DeviceError:
    return DeviceError(Fault.of(code, sentence))
