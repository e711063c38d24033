"""The bound that schedules are measured by is one: no schedule of a small lab is below it."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from schedule_kit.bound import Visit, lower_bound
from schedule_kit.cases import grown

from matlab_ros.model.lab_config import StationKind

CARRY_S = 1.0


def _ways(dose_s: float, heats_s: tuple[float, ...], pattern_s: float) -> list[tuple[Visit, ...]]:
    """The ways of samples that are dosed, fired and measured; equal times are equal profiles."""
    ways = []
    for heat_s in heats_s:
        works = (
            (StationKind.DISPENSER, "", dose_s),
            (StationKind.FURNACE, str(heat_s), heat_s),
            (StationKind.DIFFRACTOMETER, "", pattern_s),
        )
        total = sum(CARRY_S + seconds for _, _, seconds in works) + CARRY_S
        way, present = [], 0.0
        for kind, group, seconds in works:
            present += CARRY_S
            way.append(Visit(kind, group, present, seconds, total - present - seconds))
            present += seconds
        ways.append(tuple(way))
    return ways


def _batches(samples: tuple[int, ...], heats_s: tuple[float, ...], slots: int) -> Iterator[list]:
    """All ways to put samples into runs of one profile each."""
    if not samples:
        yield []
        return
    first, rest = samples[0], samples[1:]
    for others in _batches(rest, heats_s, slots):
        yield [(first,), *others]
        for number, batch in enumerate(others):
            if len(batch) < slots and heats_s[batch[0]] == heats_s[first]:
                yield [*others[:number], (first, *batch), *others[number + 1 :]]


def _shortest(
    dose_s: float, heats_s: tuple[float, ...], pattern_s: float, furnaces: int, slots: int
) -> float:
    """The best schedule of all, where an arm is always there but carries one after the other to
    and from each station; a real lab's arm is never quicker."""
    best = float("inf")
    for batches in _batches(tuple(range(len(heats_s))), heats_s, slots):
        for order in permutations(batches):
            for stations in product(range(furnaces), repeat=len(order)):
                free = [0.0] * furnaces
                dosed, ends = -CARRY_S, []
                for batch, station in zip(order, stations, strict=True):
                    for _ in batch:
                        dosed += 2 * CARRY_S + dose_s
                    start = max(dosed + CARRY_S, free[station] + len(batch) * CARRY_S)
                    end = start + heats_s[batch[0]]
                    free[station] = end + len(batch) * CARRY_S
                    ends.extend([end] * len(batch))
                measured = -CARRY_S
                for end in sorted(ends):
                    measured = max(end + CARRY_S, measured + 2 * CARRY_S) + pattern_s
                best = min(best, measured + CARRY_S)
    return best


@pytest.mark.parametrize("furnaces", [1, 2])
@pytest.mark.parametrize(
    "heats_s", [(9.0,) * 5, (4.0,) * 5, (9.0, 9.0, 9.0, 4.0, 4.0), (1.0, 20.0, 20.0)]
)
@pytest.mark.parametrize(("dose_s", "pattern_s"), [(1.0, 1.0), (3.0, 1.0), (1.0, 3.0), (4.0, 5.0)])
def test_no_schedule_is_below_the_bound(furnaces, heats_s, dose_s, pattern_s):
    lab = grown(crucibles=10, furnaces=furnaces, slots=2)
    bound = lower_bound(_ways(dose_s, heats_s, pattern_s), lab, CARRY_S)
    assert bound.makespan_s <= _shortest(dose_s, heats_s, pattern_s, furnaces, 2) + 1e-9


def test_no_schedule_of_a_lab_that_is_drawn_is_below_the_bound():
    chance = random.Random(1)
    for _ in range(60):
        furnaces, slots = chance.choice([1, 2]), chance.choice([1, 2, 3])
        heats_s = tuple(
            chance.choice([2.0, 5.0, 9.0, 15.0]) for _ in range(chance.choice([2, 3, 4]))
        )
        dose_s, pattern_s = chance.choice([1.0, 2.0, 4.0]), chance.choice([1.0, 3.0, 6.0])
        lab = grown(crucibles=10, furnaces=furnaces, slots=slots)
        bound = lower_bound(_ways(dose_s, heats_s, pattern_s), lab, CARRY_S)
        best_s = _shortest(dose_s, heats_s, pattern_s, furnaces, slots)
        assert bound.makespan_s <= best_s + 1e-9, (furnaces, slots, heats_s, dose_s, pattern_s)


def test_the_bound_is_reached_where_one_furnace_does_everything():
    lab = grown(crucibles=10, furnaces=1, slots=1)
    bound = lower_bound(_ways(1.0, (50.0,) * 3, 1.0), lab, CARRY_S)
    assert bound.makespan_s == pytest.approx(_shortest(1.0, (50.0,) * 3, 1.0, 1, 1))
