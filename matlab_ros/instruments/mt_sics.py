"""MT-SICS, the command language of Mettler Toledo balances: its lines and the weights in them.

Source: MT-SICS reference manual, levels 0 and 1. One line is one answer, ended by CR LF; weights
come with their unit, which is gram unless somebody changed the balance's host unit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum

_MG_PER_UNIT = {"g": 1e3, "mg": 1.0, "kg": 1e6, "ug": 1e-3}
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{0,9})?")


class WeightState(Enum):
    """What the balance says about a weight."""

    STABLE = "S"
    DYNAMIC = "D"
    BUSY = "I"
    """Understood, not executable at the moment: another command, or no stability in time."""
    OVERLOAD = "+"
    UNDERLOAD = "-"


@dataclass(frozen=True)
class Weight:
    """One answer of the balance.

    Attributes:
        state: what it is worth.
        mass_mg: net of the tare; NaN unless stable or dynamic.
    """

    state: WeightState
    mass_mg: float

    @property
    def stable(self) -> bool:
        """Whether the mass is to be believed."""
        return self.state is WeightState.STABLE


def parse_weight(line: str, command: str) -> Weight | None:
    """A weight in the answer to `command` (``S``, ``SI``, ``T``, ``TI``).

    Returns:
        The weight; None where the line is not a well-formed answer to that command.
    """
    words = line.split()
    if len(words) < 2 or words[0] != command:
        return None
    try:
        state = WeightState(words[1])
    except ValueError:
        return None
    if state not in (WeightState.STABLE, WeightState.DYNAMIC):
        return Weight(state, math.nan) if len(words) == 2 else None
    if len(words) != 4 or words[3] not in _MG_PER_UNIT or not _NUMBER.fullmatch(words[2]):
        return None
    return Weight(state, float(words[2]) * _MG_PER_UNIT[words[3]])
