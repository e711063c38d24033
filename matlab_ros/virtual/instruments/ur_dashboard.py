"""An emulated Universal Robots e-Series arm as its dashboard server shows it.

Source: Universal Robots, Dashboard Server e-Series. Assumed: orders in local control are answered
"Command is not allowed in local control"; powering up takes 5 s and releasing the brakes 3 s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from matlab_ros.virtual.instruments.device import MOMENT_TOLERANCE_S
from matlab_ros.virtual.instruments.wire import LineSession

GREETING = "Connected: Universal Robots Dashboard Server"
POWER_S, BRAKES_S, UNLOCK_AFTER_S = 5.0, 3.0, 5.0
PROGRAMS_S: Mapping[str, float] = {"pick.urp": 20.0, "place.urp": 20.0, "home.urp": 10.0}
_LOCAL = "Command is not allowed in local control"
_EMERGENCY = ("ROBOT_EMERGENCY_STOP", "SYSTEM_EMERGENCY_STOP")


class UrArm:
    """The arm's controller in virtual time; `session` goes into a `StreamServer`.

    Fault switches: `local_control` (somebody works at its screen), `emergency_stop`,
    `protective_stop`, `release` (somebody turned the emergency stop's knob back).

    Args:
        programs: seconds that each program on its disk takes.
        on_played: told a program's path when it has been played to its end. Called with the
            device locked.
    """

    def __init__(
        self,
        programs: Mapping[str, float] = PROGRAMS_S,
        *,
        on_played: Callable[[str], None] = lambda path: None,
    ) -> None:
        self.local_control = False
        self._programs = dict(programs)
        self._on_played = on_played
        self._lock = threading.RLock()
        self._now = 0.0
        self._mode = "POWER_OFF"
        self._changes: tuple[float, str] | None = None
        self._safety = "NORMAL"
        self._stopped_at = 0.0
        self._loaded: str | None = None
        self._program = "STOPPED"
        self._ends = 0.0
        self._left_s = 0.0
        self.popup = ""

    def session(self) -> LineSession:
        """A connection to it."""
        return LineSession(self._answer, greeting=GREETING)

    def advance_to(self, t: float) -> None:
        """Power up, and play programs, up to virtual second `t`."""
        with self._lock:
            self._now = max(self._now, t)
            if self._changes is not None and self._reached(self._changes[0]):
                self._mode, self._changes = self._changes[1], None
            if self._program == "PLAYING" and self._reached(self._ends):
                self._program = "STOPPED"
                self._on_played(self._loaded or "")

    def next_moment(self) -> float | None:
        """When it is powered up, its brakes are released, or its program is over."""
        with self._lock:
            moments = [self._changes[0]] if self._changes is not None else []
            if self._program == "PLAYING":
                moments.append(self._ends)
            return min(moments, default=None)

    def emergency_stop(self) -> None:
        """Somebody pressed the knob: no power, brakes on."""
        with self._lock:
            self._safety = "ROBOT_EMERGENCY_STOP"
            self._mode, self._changes = "POWER_OFF", None
            self._program = "STOPPED"

    def release(self) -> None:
        """The knob is turned back; power is to be switched on again."""
        with self._lock:
            if self._safety in _EMERGENCY:
                self._safety = "NORMAL"

    def protective_stop(self) -> None:
        """It ran against something: it stands, its program is paused."""
        with self._lock:
            self._safety, self._stopped_at = "PROTECTIVE_STOP", self._now
            self._pause()

    def _reached(self, moment: float) -> bool:
        return self._now >= moment - MOMENT_TOLERANCE_S

    def _answer(self, line: str) -> str:
        with self._lock:
            command = line.strip()
            question = self._questions().get(command)
            if question is not None:
                return question
            if command.startswith("load "):
                return _LOCAL if self.local_control else self._load(command[5:])
            order = self._orders().get(command)
            if order is None:
                return f'could not understand: "{command}"'
            return _LOCAL if self.local_control else order()

    def _questions(self) -> dict[str, str]:
        playing = str(self._program == "PLAYING").lower()
        loaded = self._loaded
        return {
            "robotmode": f"Robotmode: {self._mode}",
            "safetystatus": f"Safetystatus: {self._safety}",
            "running": f"Program running: {playing}",
            "programState": f"{self._program} {loaded or '<unnamed>'}",
            "get loaded program": f"Loaded program: {loaded}" if loaded else "No program loaded",
            "is in remote control": str(not self.local_control).lower(),
            "get robot model": "UR5",
            "PolyscopeVersion": "URSoftware 5.11.1.108318 (Apr 20 2022)",
            "get serial number": "20205500000",
        }

    def _orders(self) -> dict[str, Callable[[], str]]:
        return {
            "play": self._play,
            "pause": self._pause,
            "stop": self._stop,
            "power on": self._power_on,
            "power off": self._power_off,
            "brake release": self._release_brakes,
            "unlock protective stop": self._unlock,
            "close popup": self._close_popup,
            "close safety popup": lambda: "closing safety popup",
        }

    def _load(self, path: str) -> str:
        if path not in self._programs:
            return f"File not found: {path}"
        if self._program != "STOPPED":
            return f"Error while loading program: {path}"
        self._loaded = path
        return f"Loading program: {path}"

    def _play(self) -> str:
        ready = self._mode == "RUNNING" and self._safety in ("NORMAL", "REDUCED")
        if not ready or self._loaded is None or self._program == "PLAYING":
            return "Failed to execute: play"
        left_s = self._left_s if self._program == "PAUSED" else self._programs[self._loaded]
        self._ends = self._now + left_s
        self._program = "PLAYING"
        return "Starting program"

    def _pause(self) -> str:
        if self._program != "PLAYING":
            return "Failed to execute: pause"
        self._left_s = max(0.0, self._ends - self._now)
        self._program = "PAUSED"
        return "Pausing program"

    def _stop(self) -> str:
        if self._program == "STOPPED":
            return "Failed to execute: stop"
        self._program = "STOPPED"
        return "Stopped"

    def _power_on(self) -> str:
        if self._safety in _EMERGENCY:
            return "Failed to execute: power on"
        if self._mode == "POWER_OFF":
            self._mode, self._changes = "BOOTING", (self._now + POWER_S, "IDLE")
        return "Powering on"

    def _power_off(self) -> str:
        self._mode, self._changes, self._program = "POWER_OFF", None, "STOPPED"
        return "Powering off"

    def _release_brakes(self) -> str:
        if self._safety in _EMERGENCY or self._mode == "POWER_OFF":
            return "Failed to execute: brake release"
        if self._mode != "RUNNING":
            since = self._changes[0] if self._mode == "BOOTING" and self._changes else self._now
            self._changes = (since + BRAKES_S, "RUNNING")
        return "Brake releasing"

    def _unlock(self) -> str:
        if self._safety != "PROTECTIVE_STOP":
            return "Protective stop releasing"
        if self._now < self._stopped_at + UNLOCK_AFTER_S - MOMENT_TOLERANCE_S:
            return "Cannot unlock protective stop until 5s after occurrence"
        self._safety = "NORMAL"
        return "Protective stop releasing"

    def _close_popup(self) -> str:
        self.popup = ""
        return "closing popup"
