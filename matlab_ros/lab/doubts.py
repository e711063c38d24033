"""Faults about positions that nobody knew of: over as soon as somebody has looked."""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.state import LabState
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import PositionState, Resolution

_SHUT = (PositionState.BLOCKED, PositionState.UNKNOWN)


def shut_places(state: LabState) -> tuple[str, ...]:
    """Positions at stations and in grippers that nobody may use."""
    floor = state.floor
    names = [place.name for place in floor.station_places] + list(floor.grippers.values())
    return tuple(name for name in names if state.position_state(name) in _SHUT)


def close_doubts(ledger: Ledger, by: str, remark: str = "") -> None:
    """Close the faults that named positions of which at least one can be used again.

    Should that not be enough to go on, a new fault names the rest.

    Args:
        ledger: of the lab.
        by: who looked.
        remark: of who looked.
    """
    shut = shut_places(ledger.state)
    for fault in ledger.state.open_faults():
        named = fault.raised.positions
        if fault.raised.fault.code is not FaultCode.POSITION_UNKNOWN or not named:
            continue
        known = [name for name in named if name not in shut]
        if known:
            said = f"{', '.join(known)} can be used again"
            ledger.emit(
                ev.FaultResolved(
                    fault.raised.fault_id,
                    Resolution.RETRY,
                    by,
                    remark=f"{said}: {remark}" if remark else f"{said}.",
                )
            )
