"""Plays misfortunes: turns each that strikes into a fault switch of the instrument it concerns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matlab_ros.virtual.instruments.aeris import AerisDiffractometer, ScanFate
from matlab_ros.virtual.instruments.dh_rail import DhRail
from matlab_ros.virtual.instruments.furnace_controller import EmulatedController, ProgramFate
from matlab_ros.virtual.instruments.quantos import DoseFate, QuantosBalance
from matlab_ros.virtual.instruments.shaker import CrucibleShaker
from matlab_ros.virtual.instruments.wire import PseudoTerminal, StreamServer, WireFaults
from matlab_ros.virtual.misfortunes import Misfortune, MisfortuneClock, Rates
from matlab_ros.virtual.physical_log import Tell
from matlab_ros.virtual.robot import KinematicRobot, MotionFate

HOUR_S = 3600.0
SILENT_REPLIES = 25
HANGS_S = 2400.0
"""Until somebody restarts a diffractometer that hangs."""
CLOCK_JUMPS_S = (2.0, 60.0, 900.0)


class MisfortunePlayer:
    """Strikes the instruments as the seed has it, and repairs what does not end by itself.

    Args:
        rates: of the kinds that happen.
        seed: of the virtual lab.
        start_s: virtual seconds from which on they happen.
        balance: dosing unit and balance.
        rail: that carries the dosing heads.
        shaker: of the crucibles.
        furnaces: with their controllers.
        aeris: the diffractometer.
        robot: arm, gripper and base.
        wires: of all of them.
        tell: is told what struck.
    """

    def __init__(
        self,
        rates: Rates,
        seed: int,
        start_s: float,
        *,
        balance: QuantosBalance,
        rail: DhRail,
        shaker: CrucibleShaker,
        furnaces: Sequence[EmulatedController],
        aeris: AerisDiffractometer,
        robot: KinematicRobot,
        wires: Sequence[PseudoTerminal | StreamServer],
        tell: Tell,
    ) -> None:
        self._clock = MisfortuneClock(rates, seed, start_s)
        self._balance, self._rail, self._shaker = balance, rail, shaker
        self._furnaces, self._aeris, self._robot = furnaces, aeris, robot
        self._wires = wires
        self._tell = tell
        self._now_s = start_s
        self._repairs: list[tuple[float, Callable[[], None]]] = []
        self._jump_s = 0.0

    def advance_to(self, t: float) -> None:
        """Repair and strike whatever is due up to virtual second `t`."""
        self._now_s = t
        if self._aeris.hangs_since is not None and t - self._aeris.hangs_since > HANGS_S:
            self._aeris.switch_off_and_on()
        due = [repair for when, repair in self._repairs if when <= t]
        self._repairs = [item for item in self._repairs if item[0] > t]
        for repair in due:
            repair()
        for when, kind in self._clock.strikes(t):
            self._tell(when, "misfortune", kind=kind.value)
            self._strike(kind)

    def clock_jump_s(self) -> float:
        """How far the clock is to jump; told once."""
        jump_s, self._jump_s = self._jump_s, 0.0
        return jump_s

    def _strike(self, kind: Misfortune) -> None:
        if kind in _DOSES:
            self._balance.next_dose = _DOSES[kind]
        elif kind in _PROGRAMS:
            self._furnace(kind).next_program = _PROGRAMS[kind]
        elif kind in _SCANS:
            self._aeris.next_scan = _SCANS[kind]
        elif kind in _MOTIONS:
            self._robot.next_fate = _MOTIONS[kind]
        elif kind.value.startswith("wire_"):
            self._damage(kind)
        elif kind is Misfortune.CLOCK_JUMP:
            self._jump_s = CLOCK_JUMPS_S[self._clock.choice(kind, len(CLOCK_JUMPS_S))]
        else:
            self._break(kind)

    def _break(self, kind: Misfortune) -> None:
        """What is broken until somebody repairs it."""
        if kind is Misfortune.BALANCE_UNSTABLE:
            self._switch(self._balance.cell, "unstable", 0.02)
        elif kind is Misfortune.MAGAZINE_BLOCKED:
            self._rail.block()
            self._later(HOUR_S, self._rail.unblock)
        elif kind is Misfortune.SHAKER_STUCK:
            self._switch(self._shaker, "stuck", 0.5)
        elif kind is Misfortune.SENSOR_BREAK:
            self._switch(self._furnace(kind), "sensor_break", 2.0)
        elif kind is Misfortune.HEATER_WEAK:
            furnace = self._furnace(kind)
            furnace.heater_share = 0.2
            self._later(24 * HOUR_S, lambda: setattr(furnace, "heater_share", 1.0))
        elif kind is Misfortune.LOCAL_CONTROL:
            self._switch(self._aeris, "local_control", 0.3)

    def _damage(self, kind: Misfortune) -> None:
        """What a wire does to the next answers on it."""
        faults: WireFaults = self._wires[self._clock.choice(kind, len(self._wires))].faults
        if kind is Misfortune.WIRE_MUTE:
            # Counted, not timed: virtual time may wait for a device that does not answer.
            faults.drop_replies = SILENT_REPLIES
        else:
            setattr(faults, _WIRES[kind], 1 + self._clock.choice(kind, 3))

    def _furnace(self, kind: Misfortune) -> EmulatedController:
        return self._furnaces[self._clock.choice(kind, len(self._furnaces))]

    def _switch(self, what: object, name: str, hours: float) -> None:
        """Set a fault switch, and have it released after some hours."""
        setattr(what, name, True)
        self._later(hours * HOUR_S, lambda: setattr(what, name, False))

    def _later(self, seconds: float, repair: Callable[[], None]) -> None:
        self._repairs.append((self._now_s + seconds, repair))


_DOSES = {
    Misfortune.POWDER_STUCK: DoseFate.NO_FLOW,
    Misfortune.DOSE_SLOW: DoseFate.SLOW,
    Misfortune.DOSE_NEVER_ENDS: DoseFate.NEVER_ENDS,
    Misfortune.DOSE_LIES: DoseFate.LIES,
}
_PROGRAMS = {
    Misfortune.PROGRAM_LIES: ProgramFate.OVER_AT_ONCE,
    Misfortune.PROGRAM_STALLS: ProgramFate.STALLS,
}
_SCANS = {
    Misfortune.SCAN_LOST: ScanFate.LOST,
    Misfortune.SCAN_HALF: ScanFate.HALF,
    Misfortune.SCAN_SLOW: ScanFate.SLOW,
    Misfortune.SCAN_NEVER_ENDS: ScanFate.NEVER_ENDS,
}
_MOTIONS = {
    Misfortune.CRUCIBLE_DROPPED: MotionFate.LOSES_CONTAINER,
    Misfortune.ARM_STUMBLES: MotionFate.STUMBLES,
    Misfortune.ARM_SLOW: MotionFate.SLOW,
    Misfortune.BASE_STUCK: MotionFate.BASE_STUCK,
}
_WIRES = {
    Misfortune.WIRE_DROPS: "drop_replies",
    Misfortune.WIRE_CORRUPTS: "corrupt_replies",
    Misfortune.WIRE_HALVES: "halve_replies",
    Misfortune.WIRE_DOUBLES: "double_replies",
    Misfortune.WIRE_LATE: "late_replies",
}
