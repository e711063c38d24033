"""Devices of a table that fail on purpose, and know where every crucible really is.

They are also the witness of the engine's promises: they object to what cannot be done in a real
lab, such as two crucibles in one place or a device that is given two things at once.
"""

from __future__ import annotations

import random
from dataclasses import replace

from matlab_ros.lab.floor import GRIPPER, Floor
from matlab_ros.lab.goals import (
    AnalyseGoal,
    DispenseGoal,
    Goal,
    HeatGoal,
    MeasureGoal,
    MeasureOutcome,
    Outcome,
    SampleOutcome,
    TransferGoal,
    TransferOutcome,
    never_begun,
)
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.model.lab_words import SampleFate
from matlab_ros.nodes.table_devices import Durations, TableDevices, World

ON_THE_FLOOR = ""


class FailingDevices(TableDevices):
    """Devices whose failures are drawn from a seed and the attempt's id.

    Args:
        lab: whose devices they are.
        world: chemistry.
        seed: of the failures.
        rate: probability that an attempt fails.
        durations: nominal times.
    """

    def __init__(
        self,
        lab: LabConfig,
        world: World,
        seed: int,
        rate: float,
        durations: Durations | None = None,
    ) -> None:
        super().__init__(world, durations)
        self.seed, self.rate = seed, rate
        floor = Floor(lab)
        self._overlapping = {item.name for item in lab.devices if item.overlaps_analysis}
        self.where: dict[str, str] = dict(floor.homes)
        """Where each container really is."""
        self.doses: list[tuple[str, str]] = []
        """Attempt and substance of every dose really given."""
        self._busy: dict[tuple[str, bool], tuple[str, int]] = {}

    def begin(self, device: str, goal: Goal, now_ns: int) -> tuple[int, Outcome]:
        """See `matlab_ros.nodes.table_devices.Devices.begin`."""
        if goal.attempt_id in self._known:
            return super().begin(device, goal, now_ns)
        hands = device, isinstance(goal, AnalyseGoal) and device in self._overlapping
        other, end_ns = self._busy.get(hands, ("", 0))
        assert end_ns <= now_ns, f"{device} is at {other} and was given {goal.attempt_id}"
        found = super().begin(device, goal, now_ns)
        self._busy[hands] = (goal.attempt_id, found[0])
        return found

    def outcome(self, device: str, goal: Goal, now_ns: int, end_ns: int) -> Outcome:
        """An outcome by chance, with what it means for the crucibles."""
        chance = random.Random(f"{self.seed}/{goal.attempt_id}")
        fails = chance.random() < self.rate
        if fails and chance.random() < 0.25:
            code = chance.choice([FaultCode.DEVICE_UNREACHABLE, FaultCode.INVALID_GOAL])
            return never_begun(goal, device, Fault.of(code, "It was not begun."), end_ns)
        if isinstance(goal, TransferGoal):
            return self._transfer(device, goal, (now_ns, end_ns), chance if fails else None)
        outcome = super().outcome(device, goal, now_ns, end_ns)
        missing = self._missing(goal)
        if missing:
            return _with(outcome, goal, missing, SampleFate.UNTOUCHED)
        if not fails:
            if isinstance(goal, DispenseGoal):
                self.doses.extend((goal.attempt_id, dose.substance) for dose in goal.doses)
            return outcome
        fate = chance.choice([SampleFate.UNTOUCHED, SampleFate.COMPROMISED])
        if isinstance(goal, DispenseGoal) and goal.doses and fate is SampleFate.COMPROMISED:
            self.doses.append((goal.attempt_id, goal.doses[0].substance))
        return _with(outcome, goal, FaultCode.DEVICE_UNREACHABLE, fate)

    def _missing(self, goal: Goal) -> FaultCode | None:
        """What a device says whose crucible is not there."""
        if isinstance(goal, DispenseGoal) and self.where[goal.container_id] != goal.position:
            return FaultCode.DISPENSE_NO_CONTAINER
        if isinstance(goal, MeasureGoal) and goal.position not in self.where.values():
            return FaultCode.MEASURE_NO_SAMPLE
        if isinstance(goal, HeatGoal):
            for position in goal.positions:
                assert position in self.where.values(), f"nothing stands at {position}"
        return None

    def _transfer(
        self, arm: str, goal: TransferGoal, times: tuple[int, int], chance: random.Random | None
    ) -> Outcome:
        done = super().outcome(arm, goal, *times)
        assert isinstance(done, TransferOutcome)
        gripper = f"{arm}/{GRIPPER}"
        name = goal.container_id
        held = [item for item, place in self.where.items() if place == gripper]
        if held and goal.source != gripper:
            refusal = Fault.of(FaultCode.TRANSFER_NO_PLAN, f"{arm} holds {held[0]}.")
            return never_begun(goal, arm, refusal, times[1])
        if self.where[name] != goal.source:
            return _moved(done, goal, FaultCode.TRANSFER_SOURCE_EMPTY, SampleFate.LOST, "")
        others = [item for item, place in self.where.items() if place == goal.target]
        assert others in ([], [name]), f"{goal.target} holds {others} already"
        if chance is None:
            self.where[name] = goal.target
            return done
        kind = chance.choice(["failed", "failed", "harmed", "lost"])
        where = chance.choice([goal.source, gripper, goal.target])
        if kind == "lost":
            self.where[name] = where if chance.random() < 0.5 else ON_THE_FLOOR
            code = FaultCode.TRANSFER_TRAJECTORY_FAILED
            if self.where[name] == ON_THE_FLOOR:
                code = FaultCode.TRANSFER_DROPPED
            return _moved(done, goal, code, SampleFate.LOST, "")
        self.where[name] = where
        fate = SampleFate.COMPROMISED
        if kind == "failed":
            fate = SampleFate.PARTIAL if where == gripper else SampleFate.UNTOUCHED
        return _moved(done, goal, FaultCode.TRANSFER_TRAJECTORY_FAILED, fate, where)


def _moved(
    done: TransferOutcome, goal: TransferGoal, code: FaultCode, fate: SampleFate, where: str
) -> TransferOutcome:
    failed = _with(done, goal, code, fate)
    return TransferOutcome(failed.report, where)


def _with(outcome: Outcome, goal: Goal, code: FaultCode, fate: SampleFate) -> Outcome:
    """The same outcome as a failure."""
    report = replace(
        outcome.report,
        code=code,
        message="It failed.",
        samples=tuple(SampleOutcome(name, fate) for name in goal.sample_ids),
    )
    if isinstance(outcome, TransferOutcome):
        return TransferOutcome(report, outcome.final_position)
    if isinstance(outcome, MeasureOutcome):
        return MeasureOutcome(report)
    return type(outcome)(report)
