"""What goes wrong in a virtual lab by itself: kinds, rates and times, all from the seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import numpy as np
from pydantic import PositiveFloat

from matlab_ros.model.yaml_file import Strict, load_yaml
from matlab_ros.virtual.seeds import generator


class Misfortune(str, Enum):
    """Something that goes wrong at the far end of the wires.

    Each waits for its next occasion (the next dose, the next carry) or lasts for some hours, after
    which somebody put it right.
    """

    POWDER_STUCK = "powder_stuck"
    """The next dose gives up: its powder does not flow."""
    DOSE_SLOW = "dose_slow"
    DOSE_NEVER_ENDS = "dose_never_ends"
    DOSE_LIES = "dose_lies"
    """The next dose says that it is done, and half of it fell."""
    BALANCE_UNSTABLE = "balance_unstable"
    MAGAZINE_BLOCKED = "magazine_blocked"
    SHAKER_STUCK = "shaker_stuck"
    SENSOR_BREAK = "sensor_break"
    HEATER_WEAK = "heater_weak"
    PROGRAM_LIES = "program_lies"
    """The next heating program is over as soon as it began."""
    PROGRAM_STALLS = "program_stalls"
    """The next heating program never ends."""
    SCAN_LOST = "scan_lost"
    SCAN_HALF = "scan_half"
    SCAN_SLOW = "scan_slow"
    SCAN_NEVER_ENDS = "scan_never_ends"
    LOCAL_CONTROL = "local_control"
    CRUCIBLE_DROPPED = "crucible_dropped"
    """The gripper loses what it carries next."""
    ARM_STUMBLES = "arm_stumbles"
    """The arm stops in the middle of its next trajectory."""
    ARM_SLOW = "arm_slow"
    BASE_STUCK = "base_stuck"
    """The next drive never arrives."""
    WIRE_DROPS = "wire_drops"
    WIRE_CORRUPTS = "wire_corrupts"
    WIRE_HALVES = "wire_halves"
    WIRE_DOUBLES = "wire_doubles"
    WIRE_LATE = "wire_late"
    WIRE_MUTE = "wire_mute"
    CLOCK_JUMP = "clock_jump"
    """Time passes, and nobody got to do anything meanwhile."""


Rates = Mapping[Misfortune, float]
"""Mean hours of virtual time from one misfortune of a kind to the next."""


class _File(Strict):
    mean_hours: dict[Misfortune, PositiveFloat]


def load_misfortunes(path: Path | None) -> Rates:
    """Read what goes wrong and how often: ``mean_hours: {kind: hours}``, YAML.

    Args:
        path: of the file; None: nothing goes wrong.

    Raises:
        ConfigError: the file cannot be read, a kind is unknown, or its hours are not positive.
    """
    return {} if path is None else load_yaml(path, _File).mean_hours


class MisfortuneClock:
    """When each kind strikes: every kind has its own stream of exponential waiting times.

    Args:
        rates: of the kinds that happen.
        seed: of the virtual lab.
        start_s: virtual seconds from which on they happen.
    """

    def __init__(self, rates: Rates, seed: int, start_s: float) -> None:
        self._mean_s = {kind: 3600.0 * hours for kind, hours in rates.items()}
        self._streams = {kind: generator(seed, "misfortune", kind.value) for kind in rates}
        self._next_s = {kind: start_s + self._wait_s(kind) for kind in rates}

    def strikes(self, now_s: float) -> list[tuple[float, Misfortune]]:
        """What strikes up to a moment, in the order of its times; told once."""
        found = []
        for kind in self._next_s:
            while self._next_s[kind] <= now_s:
                found.append((self._next_s[kind], kind))
                self._next_s[kind] += self._wait_s(kind)
        return sorted(found, key=lambda item: (item[0], item[1].value))

    def choice(self, kind: Misfortune, count: int) -> int:
        """Which of `count` things a misfortune strikes."""
        return int(self._streams[kind].integers(count))

    def _wait_s(self, kind: Misfortune) -> float:
        stream: np.random.Generator = self._streams[kind]
        return -self._mean_s[kind] * math.log1p(-float(stream.random()))
