"""Leases: an attempt has its device and positions as long as its device is heard.

What an attempt takes was granted at once and is let go of at once when it ends. In between, its
device renews the lease by listing the attempt among what it works on, for as long as it is heard.
After `lease_min` in which the device was silent, or was heard and did not list it, the lease runs
out: somebody is told, and the positions become UNKNOWN, never free, until the attempt has an end
or somebody has looked. The attempt itself is not given up by that: a furnace that was not heard for
an hour may still do what it was told.
"""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.lab import events as ev
from matlab_ros.lab.goals import AnalyseGoal, Goal, HeatGoal, TransferGoal
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.presence import Presence
from matlab_ros.lab.state import AttemptRun
from matlab_ros.model.faults import Fault, FaultCode

_NS_PER_MIN = 60_000_000_000


@dataclass(frozen=True)
class Lease:
    """What an attempt has, and until when that is sure."""

    attempt_id: str
    device: str
    positions: tuple[str, ...]
    granted_ns: int
    renewed_ns: int
    """The last moment at which its device was heard."""
    expires_ns: int


def positions_of(goal: Goal) -> tuple[str, ...]:
    """Positions that a goal takes."""
    if isinstance(goal, TransferGoal):
        return (goal.source, goal.target)
    if isinstance(goal, HeatGoal):
        return goal.positions
    return () if isinstance(goal, AnalyseGoal) else (goal.position,)


class Leases:
    """Watches over the leases of all attempts under way.

    Args:
        ledger: of the lab.
        presence: of its devices.
    """

    def __init__(self, ledger: Ledger, presence: Presence) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._presence = presence
        devices = ledger.floor.lab.devices
        self._terms = {item.name: round(item.lease_min * _NS_PER_MIN) for item in devices}

    def of(self, attempt: AttemptRun) -> Lease:
        """The lease of an attempt under way, at this moment."""
        renewed_ns = self._heard_ns(attempt)
        return Lease(
            attempt.attempt_id,
            attempt.device,
            positions_of(attempt.goal),
            attempt.intended_ns,
            renewed_ns,
            renewed_ns + self._terms[attempt.device],
        )

    def _heard_ns(self, attempt: AttemptRun) -> int:
        if self._presence.is_usable(attempt.device):
            missing_ns = self._presence.missing_since(attempt.attempt_id)
            return self._ledger.now_ns if missing_ns is None else missing_ns
        fault_id = self._state.lost.get(attempt.device)
        gone_ns = self._state.faults[fault_id].raised_ns if fault_id else 0
        return max(attempt.intended_ns, gone_ns, self._state.restarted_ns)

    def end_expired(self) -> None:
        """Tell of the leases that ran out."""
        for attempt in list(self._state.attempts.values()):
            if self._is_watched(attempt) and self.of(attempt).expires_ns <= self._ledger.now_ns:
                self._expire(attempt)

    def wakeups(self) -> list[int]:
        """Moments at which leases run out if nobody is heard before."""
        return [
            self.of(attempt).expires_ns
            for attempt in self._state.attempts.values()
            if self._is_watched(attempt)
        ]

    def _is_watched(self, attempt: AttemptRun) -> bool:
        return attempt.attempt_id not in self._state.expired and (
            not self._presence.is_usable(attempt.device)
            or self._presence.missing_since(attempt.attempt_id) is not None
        )

    def _expire(self, attempt: AttemptRun) -> None:
        minutes = self._terms[attempt.device] / _NS_PER_MIN
        positions = positions_of(attempt.goal)
        is_heard = self._presence.is_usable(attempt.device)
        what = "did not list" if is_heard else "was not heard in"
        fault = Fault.of(
            FaultCode.LEASE_EXPIRED,
            f"{attempt.device} {what} {attempt.attempt_id} for {minutes:g} min; nobody "
            f"is sure any more what stands at {', '.join(positions) or 'no position'}: look there.",
        )
        fault_id = self._ledger.next_fault_id()
        self._ledger.emit(ev.FaultRaised(fault_id, fault, attempt.device, attempt.attempt_id))
        self._ledger.emit(ev.LeaseExpired(attempt.attempt_id, fault_id, positions))
