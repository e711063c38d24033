"""The bound that schedules are measured by is one: no schedule of a small lab is below it."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import combinations, permutations, product
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


def _fired_again(
    dose_s: float, heat_s: float, grind_s: float, lots: str
) -> list[tuple[Visit, ...]]:
    """The ways of equal samples, each fired once or twice as its lot says, without patterns."""
    ways = []
    for lot in lots:
        works = [(StationKind.DISPENSER, "", dose_s), (StationKind.FURNACE, "1", heat_s)]
        if lot == "2":
            works += [(StationKind.DISPENSER, "", grind_s), (StationKind.FURNACE, "2", heat_s)]
        total = sum(CARRY_S + seconds for _, _, seconds in works) + CARRY_S
        way, present = [], 0.0
        for kind, group, seconds in works:
            present += CARRY_S
            way.append(Visit(kind, group, present, seconds, total - present - seconds))
            present += seconds
        ways.append(tuple(way))
    return ways


def _shortest_again(
    dose_s: float, heat_s: float, grind_s: float, lots: str, furnaces: int, slots: int
) -> float:
    """The best of all schedules in which the i-th sample that is fired has the i-th lot.

    Every schedule is its works in the order in which they begin, each as early as that allows; so
    all such orders are gone through. Arms are always there, as in `_shortest`.
    """
    best = float("inf")
    seen = set()

    def go_on(samples: tuple, dosed: float, free: tuple[float, ...], lot: int, last: float) -> None:
        nonlocal best
        state = (tuple(sorted(samples)), dosed, tuple(sorted(free)), lot, last)
        if state in seen or max(ready for _, ready in samples) + CARRY_S >= best:
            return
        seen.add(state)
        if all(stage == "done" for stage, _ in samples):
            best = max(ready for _, ready in samples) + CARRY_S
            return
        for stage, seconds in (("dose", dose_s), ("grind", grind_s)):
            for number in {samples.index(item) for item in samples if item[0] == stage}:
                begin = max(samples[number][1] + CARRY_S, dosed + 2 * CARRY_S)
                if begin >= last:
                    item = ("fire" if stage == "dose" else "refire", begin + seconds)
                    changed = (*samples[:number], item, *samples[number + 1 :])
                    go_on(changed, begin + seconds, free, lot, begin)
        for stage in ("fire", "refire"):
            able = [number for number, item in enumerate(samples) if item[0] == stage]
            for size in range(1, min(slots, len(able)) + 1):
                for batch in combinations(able, size):
                    for station, free_s in enumerate(free):
                        ready = max(samples[number][1] for number in batch)
                        begin = max(ready + CARRY_S, free_s + size * CARRY_S)
                        if begin < last:
                            continue
                        end, changed, drawn = begin + heat_s, list(samples), lot
                        for number in batch:
                            is_again = stage == "fire" and lots[drawn] == "2"
                            drawn += stage == "fire"
                            changed[number] = ("grind" if is_again else "done", end)
                        left = (*free[:station], end + size * CARRY_S, *free[station + 1 :])
                        go_on(tuple(changed), dosed, left, drawn, begin)

    # Its first crucible stands in the rack and needs no other's place.
    go_on((("dose", 0.0),) * len(lots), -2 * CARRY_S, (-CARRY_S * slots,) * furnaces, 0, 0.0)
    return best


@pytest.mark.parametrize("lots", ["12", "21", "112", "211", "122", "222"])
@pytest.mark.parametrize(("furnaces", "slots"), [(1, 1), (1, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize(("dose_s", "heat_s", "grind_s"), [(1.0, 6.0, 1.0), (5.0, 4.0, 2.0)])
def test_no_schedule_of_samples_that_are_fired_again_is_below_the_bound(
    lots, furnaces, slots, dose_s, heat_s, grind_s
):
    lab = grown(crucibles=10, furnaces=furnaces, slots=slots)
    bound = lower_bound(_fired_again(dose_s, heat_s, grind_s, lots), lab, CARRY_S)
    best_s = _shortest_again(dose_s, heat_s, grind_s, lots, furnaces, slots)
    assert bound.makespan_s <= best_s + 1e-9


def test_who_is_fired_last_and_comes_again_makes_the_bound_later():
    lab = grown(crucibles=10, furnaces=1, slots=1)
    first, last = (
        lower_bound(_fired_again(5.0, 50.0, 1.0, lots), lab, CARRY_S) for lots in ("211", "112")
    )
    assert first.makespan_s < last.makespan_s
