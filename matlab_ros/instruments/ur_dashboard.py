"""Dashboard server of a Universal Robots e-Series arm: one line of text a command, TCP port 29999.

Source: Universal Robots, Dashboard Server e-Series. It switches power and brakes, loads and plays
programs, and tells modes; it moves nothing itself. Orders are taken in remote control only.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from matlab_ros.instruments.agreement import agreed
from matlab_ros.instruments.line_reader import LineReader
from matlab_ros.instruments.transport import Deadline, Transport
from matlab_ros.model.faults import DeviceError, Fault, FaultCode

E = TypeVar("E", bound=Enum)

_GREETING = "Connected: Universal Robots Dashboard Server"
_PROGRAM = re.compile(r"[A-Za-z0-9_./-]{1,200}\.urp")
_TRIES = 2
_MISUNDERSTOOD = "could not understand"


class RobotMode(Enum):
    """How far the arm is powered up."""

    NO_CONTROLLER = "NO_CONTROLLER"
    DISCONNECTED = "DISCONNECTED"
    CONFIRM_SAFETY = "CONFIRM_SAFETY"
    BOOTING = "BOOTING"
    POWER_OFF = "POWER_OFF"
    POWER_ON = "POWER_ON"
    IDLE = "IDLE"
    """Powered, brakes on."""
    BACKDRIVE = "BACKDRIVE"
    RUNNING = "RUNNING"
    """Powered, brakes released: programs may run."""


class SafetyStatus(Enum):
    """What the safety controller says; only NORMAL and REDUCED let the arm move."""

    NORMAL = "NORMAL"
    REDUCED = "REDUCED"
    PROTECTIVE_STOP = "PROTECTIVE_STOP"
    RECOVERY = "RECOVERY"
    SAFEGUARD_STOP = "SAFEGUARD_STOP"
    SYSTEM_EMERGENCY_STOP = "SYSTEM_EMERGENCY_STOP"
    ROBOT_EMERGENCY_STOP = "ROBOT_EMERGENCY_STOP"
    VIOLATION = "VIOLATION"
    FAULT = "FAULT"
    AUTOMATIC_MODE_SAFEGUARD_STOP = "AUTOMATIC_MODE_SAFEGUARD_STOP"
    SYSTEM_THREE_POSITION_ENABLING_STOP = "SYSTEM_THREE_POSITION_ENABLING_STOP"


class ProgramStatus(Enum):
    """What the loaded program does."""

    STOPPED = "STOPPED"
    PLAYING = "PLAYING"
    PAUSED = "PAUSED"


@dataclass(frozen=True)
class RobotStatus:
    """What the arm says of itself.

    Attributes:
        mode: of power and brakes.
        safety: of the safety controller.
        program: what the loaded program does.
        is_remote: whether it takes orders from here.
    """

    mode: RobotMode
    safety: SafetyStatus
    program: ProgramStatus
    is_remote: bool

    @property
    def can_move(self) -> bool:
        """Whether a program may be played now."""
        moving = self.safety in (SafetyStatus.NORMAL, SafetyStatus.REDUCED)
        return moving and self.mode is RobotMode.RUNNING and self.is_remote


class UrDashboard:
    """Driver of the dashboard server. Thread-safe; no method waits for the arm to move.

    Answers carry no number, so after any failure the connection is made anew: a late answer never
    meets the next command.

    Args:
        transport: a TCP transport to port 29999.
        deadline_s: steady seconds for one command and its answer.
    """

    def __init__(self, transport: Transport, *, deadline_s: float = 2.0) -> None:
        self._transport = transport
        self._deadline_s = deadline_s
        self._reader = LineReader(transport)
        self._lock = threading.RLock()
        self._greeted = False
        transport.close()

    @property
    def name(self) -> str:
        """Its address, for people."""
        return f"robot at {self._transport.name}"

    def close(self) -> None:
        """Give the wire back. A program under way goes on."""
        with self._lock:
            self._transport.close()
            self._greeted = False

    # Looking

    def robot_mode(self) -> RobotMode:
        """How far the arm is powered up.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return self._word("robotmode", r"Robotmode: (\w+)", RobotMode)

    def safety_status(self) -> SafetyStatus:
        """What the safety controller says.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return self._word("safetystatus", r"Safetystatus: (\w+)", SafetyStatus)

    def program_status(self) -> ProgramStatus:
        """What the loaded program does.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return self._word("programState", r"(\w+)(?: .*)?", ProgramStatus)

    def is_remote(self) -> bool:
        """Whether it takes orders from here.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return self._question("is in remote control", r"(true|false)") == "true"

    def read_status(self) -> RobotStatus:
        """Everything that tells whether it can work.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        return RobotStatus(
            mode=self.robot_mode(),
            safety=self.safety_status(),
            program=self.program_status(),
            is_remote=self.is_remote(),
        )

    def loaded_program(self) -> str | None:
        """Path of the loaded program; None where there is none.

        Raises:
            DeviceError: no contact, or an answer that makes no sense.
        """
        pattern = r"(?:Loaded program: )?(No program loaded|[\x21-\x7e][\x20-\x7e]*)"
        path = agreed(
            lambda: self._question("get loaded program", pattern),
            who=self.name,
            what="the loaded program",
            within_s=_TRIES * self._deadline_s,
        )
        return None if path == "No program loaded" else path

    # Power and brakes; each of these may be repeated

    def power_on(self) -> None:
        """Begin to power the arm; `robot_mode` tells when it is idle.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (not in remote control, or it refuses), or no contact.
        """
        self._order("power on", "Powering on")

    def power_off(self) -> None:
        """Take the power from the arm; its brakes hold it. The documented safe state.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (it refuses), or no contact.
        """
        self._order("power off", "Powering off")

    def release_brakes(self) -> None:
        """Begin to release the brakes; `robot_mode` tells when it is running.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (not in remote control, or it refuses), or no contact.
        """
        self._order("brake release", "Brake releasing")

    def unlock_protective_stop(self) -> None:
        """Leave a protective stop, after somebody saw why it stopped.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (too early, or it refuses), or no contact.
        """
        self._order("unlock protective stop", "Protective stop releasing")

    def close_popup(self) -> None:
        """Close a message on its screen.

        Raises:
            DeviceError: no contact.
        """
        self._order("close popup", "closing popup")

    # Programs

    def load(self, path: str) -> None:
        """Load a program, and see that it is the right one.

        Raises:
            DeviceError: INVALID_GOAL (no name of a program, or there is none),
                DEVICE_NOT_ACTIVE, PROTOCOL_ERROR (another program is loaded), or no contact.
        """
        if not _PROGRAM.fullmatch(path):
            raise self._error(FaultCode.INVALID_GOAL, f"{path!r} is no path of a program (.urp)")
        self._require_remote()
        answer = self._ask_twice(f"load {path}")
        if _MISUNDERSTOOD in answer or path not in answer:
            # The name was damaged on its way.
            answer = self._ask_twice(f"load {path}")
        if answer == f"File not found: {path}":
            raise self._error(FaultCode.INVALID_GOAL, f"has no program {path}")
        self._require(answer, f"load {path}", f"Loading program: {path}")
        self._require_loaded(path)

    def play(self, path: str) -> None:
        """Start the loaded program, which has to be `path`. Sent once: where no answer comes, the
        program's state tells whether it began.

        Raises:
            DeviceError: DEVICE_NOT_ACTIVE (the arm cannot move, or it refuses), DEVICE_BUSY (a
                program runs), PROTOCOL_ERROR (another program is loaded), or no contact.
        """
        status = self.read_status()
        if not status.can_move:
            raise self._error(
                FaultCode.DEVICE_NOT_ACTIVE,
                f"cannot move: mode {status.mode.value}, safety {status.safety.value}, "
                f"{'remote' if status.is_remote else 'local'} control",
            )
        if status.program is ProgramStatus.PLAYING:
            raise self._error(FaultCode.DEVICE_BUSY, "is playing a program")
        self._require_loaded(path)
        try:
            answer = self._ask("play")
        except DeviceError:
            if self.program_status() is not ProgramStatus.PLAYING:
                raise
            return
        self._require(answer, "play", "Starting program")

    def pause(self) -> None:
        """Pause the program under way; the arm stops on its path. Safe to repeat.

        Raises:
            DeviceError: it still plays, or no contact.
        """
        self._until("pause", (ProgramStatus.PAUSED, ProgramStatus.STOPPED))

    def stop(self) -> None:
        """Stop the program under way; it cannot go on. Safe to repeat.

        Raises:
            DeviceError: it still plays, or no contact.
        """
        self._until("stop", (ProgramStatus.STOPPED,))

    def _until(self, command: str, wanted: tuple[ProgramStatus, ...]) -> None:
        answer = self._ask_twice(command)
        state = self.program_status()
        if state not in wanted:
            # One of both may have been damaged on its way.
            answer = self._ask_twice(command)
            state = self.program_status()
        if state not in wanted:
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"was told to {command} ({answer!r}) and is {state.value}"
            )

    def _require_remote(self) -> None:
        if not self.is_remote():
            raise self._error(
                FaultCode.DEVICE_NOT_ACTIVE,
                "is under local control; switch it to remote on its screen",
            )

    def _require_loaded(self, path: str) -> None:
        loaded = self.loaded_program()
        if loaded is None or not loaded.endswith(path):
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"has {loaded or 'no program'} loaded; expected {path}"
            )

    def _order(self, command: str, expected: str) -> None:
        self._require_remote()
        answer = self._ask_twice(command)
        if not answer.startswith(expected):
            answer = self._ask_twice(command)
        self._require(answer, command, expected)

    def _require(self, answer: str, command: str, expected: str) -> None:
        if answer.startswith(expected):
            return
        misunderstood = answer.startswith(_MISUNDERSTOOD)
        code = FaultCode.PROTOCOL_ERROR if misunderstood else FaultCode.DEVICE_NOT_ACTIVE
        raise self._error(code, f"answered {answer[:120]!r} to {command!r}")

    def _word(self, command: str, pattern: str, words: type[E]) -> E:
        found = "|".join(re.escape(str(word.value)) for word in words)
        return words(self._question(command, pattern.replace(r"(\w+)", f"({found})")))

    def _question(self, command: str, pattern: str) -> str:
        """Group 1 of the answer to a question that may be repeated."""
        answer = ""
        for _ in range(_TRIES):
            answer = self._ask_twice(command)
            found = re.fullmatch(pattern, answer)
            if found:
                return found[1]
            # A late greeting or answer may stand before the right one.
            self.close()
        raise self._error(FaultCode.PROTOCOL_ERROR, f"answered {answer[:120]!r} to {command!r}")

    def _ask_twice(self, command: str) -> str:
        try:
            return self._ask(command)
        except DeviceError:
            return self._ask(command)

    def _ask(self, command: str) -> str:
        with self._lock:
            try:
                deadline = Deadline(self._deadline_s)
                if not (self._transport.is_open and self._greeted):
                    self._connect(deadline)
                while self._reader.next_line(0.0) is not None:
                    pass
                self._transport.write(f"{command}\n".encode("ascii"))
                return self._line(deadline, command)
            except DeviceError:
                self.close()
                raise

    def _connect(self, deadline: Deadline) -> None:
        self._transport.close()
        self._reader.clear()
        self._transport.open()
        greeting = self._line(deadline, "connecting")
        if not greeting.startswith(_GREETING):
            raise self._error(
                FaultCode.PROTOCOL_ERROR, f"greets with {greeting[:80]!r}; check the port (29999)"
            )
        self._greeted = True

    def _line(self, deadline: Deadline, what: str) -> str:
        while True:
            line = self._reader.next_line(deadline.remaining_s)
            if line is not None:
                return line.strip()
            if deadline.over:
                raise self._error(
                    FaultCode.DEVICE_UNREACHABLE,
                    f"gave no answer to {what!r} within {self._deadline_s:g} s",
                )

    def _error(self, code: FaultCode, problem: str) -> DeviceError:
        return DeviceError(Fault.of(code, f"{self.name} {problem}."))
