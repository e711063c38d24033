"""A campaign: many commands on a bad wire, what became of them, and what must not have."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from matlab_ros.model.faults import DeviceError
from wire_faults_kit.bad_wire import Damage
from wire_faults_kit.cases import CASES, Violation

RESTART_EVERY, REPLUG_EVERY = 97, 61


@dataclass
class Outcome:
    """What became of the commands of one driver.

    Attributes:
        name: of the driver.
        done: commands that were carried out.
        faults: typed faults by their code's name.
        violations: what must not have happened.
        slowest_s: the longest command, steady seconds.
        bound_s: within which each has to end.
        happened: what the wire did.
        processor_s: processor seconds of it all.
    """

    name: str
    done: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    bound_s: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    processor_s: float = 0.0

    @property
    def commands(self) -> int:
        """How many were given."""
        return self.done + self.faults.total()


def run(
    name: str, commands: int, seed: int, damage: Damage | None = None, patience: float = 1.0
) -> Outcome:
    """Give commands to one driver on a bad wire.

    Args:
        name: of the driver.
        commands: how many.
        seed: of everything.
        damage: what the wire does; None: the usual.
        patience: see `Case`.
    """
    case = CASES[name](seed, patience)
    outcome = Outcome(name, bound_s=case.bound_s)
    began = time.thread_time()
    try:
        case.wire.damage = damage if damage is not None else Damage()
        for number in range(1, commands + 1):
            if number % RESTART_EVERY == 0:
                case.restart()
            if number % REPLUG_EVERY == 0:
                case.replug()
            since = time.monotonic()
            try:
                case.command()
                outcome.done += 1
            except DeviceError as error:
                outcome.faults[error.fault.code.name] += 1
            except Violation as violation:
                outcome.done += 1
                outcome.violations.append(f"command {number}: {violation}")
            outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - since)
        if outcome.slowest_s > outcome.bound_s:
            outcome.violations.append(
                f"a command took {outcome.slowest_s:.2f} s of {outcome.bound_s:.2f} s"
            )
        outcome.happened = case.wire.happened
    finally:
        outcome.processor_s = time.thread_time() - began
        case.close()
    return outcome
