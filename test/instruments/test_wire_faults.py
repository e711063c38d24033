"""A short campaign of every driver on a damaged wire; benchmarks/wire_faults.py is the long one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from wire_faults_kit.bad_wire import SOUND, BadWire, Damage  # noqa: E402
from wire_faults_kit.campaign import Outcome, run  # noqa: E402
from wire_faults_kit.cases import CASES, Violation  # noqa: E402

COMMANDS = {name: 200 if name == "quantos" else 30 for name in CASES}
"""A quarter of the balance's are doses."""


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Outcome]:
    """What became of every driver's commands: side by side, because they mostly wait."""
    with ThreadPoolExecutor(len(CASES)) as pool:
        made = pool.map(lambda name: run(name, COMMANDS[name], seed=3), CASES)
        return {outcome.name: outcome for outcome in made}


# How long a command took, and how many came through, is not judged here: the computer may be busy.
def wrong(outcome: Outcome) -> list[str]:
    return [words for words in outcome.violations if "a command took" not in words]


@pytest.mark.parametrize("name", CASES)
def test_nothing_wrong_is_taken_for_right(name: str, outcomes: Mapping[str, Outcome]) -> None:
    outcome = outcomes[name]
    assert not wrong(outcome)
    assert outcome.commands == COMMANDS[name]
    assert outcome.happened["damaged bytes"] > 5


@pytest.mark.parametrize("name", CASES)
def test_a_sound_wire_gives_no_fault_of_the_wire(name: str) -> None:
    outcome = run(name, COMMANDS[name], seed=4, damage=SOUND, patience=100.0)
    assert not wrong(outcome)
    assert set(outcome.faults) <= {"DEVICE_BUSY", "DEVICE_NOT_ACTIVE", "DISPENSE_UNSTABLE_BALANCE"}


def test_the_judge_would_see_a_planted_fault() -> None:
    case = CASES["quantos"](1)
    case._true_mg = lambda: 1e9  # type: ignore[attr-defined]
    with pytest.raises(Violation):
        case._weigh()  # type: ignore[attr-defined]
    case.close()


class Sound:
    """A wire that gives back what it takes."""

    name = "sound"
    is_open = True
    ended = False
    silence_s = 0.0

    def __init__(self) -> None:
        self._held = b""

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None:
        self._held += data

    def read(self, wait_s: float) -> bytes:
        data, self._held = self._held, b""
        return data

    def discard_input(self) -> None:
        self._held = b""


def test_the_wire_damages_as_much_as_it_says() -> None:
    wire = BadWire(Sound(), np.random.default_rng(0))
    wire.damage = Damage(per_byte=0.01, late_s=(0.0, 0.0), half=0.0, hang_up=0.0)
    heard = bytearray()
    sent = bytes(range(256)) * 40
    for start in range(0, len(sent), 64):
        wire.write(sent[start : start + 64])
        while piece := wire.read(0.0):
            heard += piece
    assert 150 < wire.happened["damaged bytes"] < 260
    assert {"flipped", "lost", "doubled", "stray", "late"} <= set(wire.happened)
    assert abs(len(heard) - len(sent)) < 60
