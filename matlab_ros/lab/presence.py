"""What only this process knows of the devices: who is there, and what was really sent to him.

None of it is in the journal. After a restart nobody is ready and nothing was sent, so that every
goal without an outcome is sent again when its device is heard.
"""

from __future__ import annotations

from matlab_ros.lab.commands import CancelGoal, Command, SendGoal
from matlab_ros.lab.events import EMERGENCY
from matlab_ros.lab.state import AttemptRun, LabState


class Presence:
    """Devices that are ready, and the goals and cancels they were sent.

    Args:
        state: of the lab; its `lost` devices are not usable.
    """

    def __init__(self, state: LabState) -> None:
        self._state = state
        self._ready: set[str] = set()
        self._given_up: set[str] = set()
        self._sent: set[str] = set()
        self._cancels_sent: set[str] = set()
        self._missing: dict[str, int] = {}
        """Since when a device that is heard does not list an attempt; ROS time."""

    def is_usable(self, device: str) -> bool:
        """Whether a device takes goals."""
        return device in self._ready and device not in self._state.lost

    def is_given_up(self, device: str) -> bool:
        """Whether nobody waits for a device any more."""
        return device in self._given_up

    def was_ready(self, device: str) -> bool:
        """Whether a device said that it is ready, and not the contrary since."""
        return device in self._ready

    def came(self, device: str) -> None:
        """A device is ready."""
        self._ready.add(device)
        self._given_up.discard(device)

    def missed(self, attempt_id: str, now_ns: int) -> None:
        """A device does not list an attempt: it is sent again under its id, which a device that
        has done it answers with what came of it, and one that is at it goes on with."""
        if attempt_id in self._state.attempts:
            self._missing.setdefault(attempt_id, now_ns)
            self._sent.discard(attempt_id)
            self._cancels_sent.discard(attempt_id)

    def listed(self, attempt_id: str) -> None:
        """A device lists an attempt."""
        self._missing.pop(attempt_id, None)

    def missing_since(self, attempt_id: str) -> int | None:
        """Since when a device that is heard does not list an attempt; None: it does."""
        return self._missing.get(attempt_id)

    def went(self, device: str) -> None:
        """A device is not ready any more: nobody knows whether what was sent arrived."""
        self._ready.discard(device)
        for attempt in self._state.attempts.values():
            if attempt.device == device:
                self.forget(attempt.attempt_id)

    def give_up(self, device: str) -> None:
        """Nobody waits for the device any more."""
        self._given_up.add(device)

    def forget(self, attempt_id: str) -> None:
        """The attempt has ended, or is to be sent again."""
        self._sent.discard(attempt_id)
        self._cancels_sent.discard(attempt_id)
        self._missing.pop(attempt_id, None)

    def is_withheld(self, attempt: AttemptRun) -> bool:
        """Whether an attempt is not sent again until the lab is resumed after an emergency stop.

        Its device may not have begun it, and releasing the stop starts nothing.
        """
        return (
            attempt.attempt_id not in self._sent
            and attempt.cancel_reason == EMERGENCY
            and self._state.is_paused()
        )

    def all_sent(self) -> bool:
        """Whether every attempt under way was sent."""
        return all(name in self._sent for name in self._state.attempts)

    def commands(self) -> list[Command]:
        """Goals and cancels that the state asks for and that were not sent yet."""
        out: list[Command] = []
        for name, attempt in self._state.attempts.items():
            if not self.is_usable(attempt.device):
                continue
            if name not in self._sent:
                if self.is_withheld(attempt):
                    continue
                self._sent.add(name)
                out.append(SendGoal(attempt.device, attempt.goal))
            if attempt.cancel_requested and name not in self._cancels_sent:
                self._cancels_sent.add(name)
                out.append(CancelGoal(attempt.device, name))
        return out
