"""Compares what instruments wrote down themselves with what the journal says: nothing lost, nothing
twice.

It shares no conclusion with the lab: from the journal it takes what was intended and what the
devices answered, from the instruments' own logs what happened.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from chaos_kit.facts import FLOOR, GRIPPER, Fact
from chaos_kit.story import AttemptStory, Story, owner
from matlab_ros.lab.goals import (
    AnalyseGoal,
    AnalyseOutcome,
    DispenseGoal,
    DispenseOutcome,
    HeatGoal,
    HeatOutcome,
    MeasureGoal,
    MeasureOutcome,
    TransferGoal,
)
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import ExperimentState, ObservationKind, SampleFate

SLACK_S = 0.5
"""Of times: devices act on their own ticks."""
READING_MG = 0.2
"""A balance's reading and what fell may differ by this: its repeatability and last digit."""
DWELL_BAND_C = 12.0
TOLD_SHARE, TOLD_MIN = 0.05, 20.0
"""By which a dwell may differ from the one that the node read off, which looks every 15 minutes."""
HOT_C = 120.0
"""A crucible that was this hot was fired."""
PICKED_HOT_C = 40.0
"""Above the temperature at which the recipe says that a furnace may be unloaded."""
FRACTION_EXACT = 1e-6
FRACTION_TRUE = 0.25
"""A yield further from what was in the crucible is that of another sample."""
ABANDONED_HEAT = frozenset(
    {FaultCode.HEAT_CONTACT_LOST, FaultCode.DEADLINE_EXCEEDED, FaultCode.PROCESS_DIED}
)
"""Outcomes that say: the controller goes on by itself to the program's cold end."""

MOST_ANALYSES = 6
"""That are done again: each takes a second."""

Analyse = Callable[[AnalyseGoal], float | None]
"""Does an analysis again: the target's fraction for a goal, None where it cannot be done."""


@dataclass(frozen=True)
class Violation:
    """A broken promise.

    Attributes:
        kind: a few words, the same for all of its kind.
        text: a sentence with what, where and when.
    """

    kind: str
    text: str


def audit(
    facts: Iterable[Fact], story: Story, analyse: Analyse | None = None
) -> tuple[Violation, ...]:
    """Everything in which journal and instruments contradict each other.

    Args:
        facts: of all instruments, in order.
        story: of the whole journal.
        analyse: does an analysis again; None: yields are not compared.
    """
    return tuple(_Audit(list(facts), story, analyse).run())


@dataclass(frozen=True)
class _Program:
    """One run of a furnace's programmer."""

    furnace: str
    begun: Fact
    over_s: float
    reset: bool


class _Audit:
    def __init__(self, facts: list[Fact], story: Story, analyse: Analyse | None) -> None:
        self._facts, self._story, self._analyse = facts, story, analyse
        self._found: list[Violation] = []
        self._where: dict[str, str] = {}
        self._moves: dict[str, list[tuple[float, str]]] = defaultdict(list)
        """By crucible: since when it was where."""
        self._analysed = 0
        self._end_s = max((fact.t for fact in facts), default=0.0)

    def run(self) -> list[Violation]:
        """All violations."""
        self._check_attempts()
        self._check_carries()
        self._check_places()
        self._check_doses()
        self._check_mixing()
        self._check_heats()
        self._check_scans()
        self._check_yields()
        self._check_ends()
        return self._found

    def _say(self, kind: str, text: str) -> None:
        self._found.append(Violation(kind, text))

    def _of(self, what: str) -> list[Fact]:
        return [fact for fact in self._facts if fact.what == what]

    # --- attempts -----------------------------------------------------------------------------

    def _check_attempts(self) -> None:
        for name, count in Counter(self._story.intended).items():
            if count > 1:
                self._say("attempt id used twice", f"{name} was intended {count} times")
        ended = Counter(self._story.ended)
        for name in self._story.attempts:
            if ended[name] != 1:
                self._say("attempt without one end", f"{name} has {ended[name]} outcomes")

    # --- carrying -----------------------------------------------------------------------------

    def _check_carries(self) -> None:
        """No two in one place, none in two, nothing carried that nobody asked for."""
        arms = self._story.of_kind("transfer")
        carried: Counter[tuple[str, str]] = Counter()
        for fact in self._facts:
            if fact.what == "stands":
                self._put(fact["crucible"], fact["position"], fact)
            elif fact.what in ("picked", "placed", "dropped"):
                self._carry(fact)
                asked = owner(arms, fact.t, SLACK_S, fact["crucible"])
                if asked is None:
                    self._say(
                        "carried without an attempt",
                        f"{fact['crucible']} was {fact.what} at {fact.t:.1f} s and no transfer "
                        "was under way",
                    )
                    continue
                carried[asked.attempt_id, fact.what] += 1
                goal = asked.goal
                assert isinstance(goal, TransferGoal)
                if fact["crucible"] != goal.container_id:
                    self._say(
                        "wrong crucible carried",
                        f"{asked.attempt_id} {fact.what} {fact['crucible']}, not "
                        f"{goal.container_id}",
                    )
        for (attempt, what), count in carried.items():
            if count > 1:
                self._say("carried twice", f"{attempt} {what} {count} times")

    def _carry(self, fact: Fact) -> None:
        crucible = fact["crucible"]
        if fact.what == "picked":
            if self._where.get(crucible) != fact["position"]:
                self._say(
                    "crucible in two places",
                    f"{crucible} was picked from {fact['position']} at {fact.t:.1f} s and stood at "
                    f"{self._where.get(crucible)}",
                )
            self._put(crucible, GRIPPER, fact)
        elif self._where.get(crucible) != GRIPPER:
            self._say(
                "crucible in two places",
                f"{crucible} was {fact.what} at {fact.t:.1f} s and was at "
                f"{self._where.get(crucible)}, not in the gripper",
            )
            self._put(crucible, fact.values.get("position", FLOOR), fact)
        else:
            self._put(crucible, fact.values.get("position", FLOOR), fact)

    def _put(self, crucible: str, position: str, fact: Fact) -> None:
        others = [
            name
            for name, place in self._where.items()
            if place == position and name != crucible and position != FLOOR
        ]
        if others:
            self._say(
                "two crucibles in one place",
                f"{crucible} and {others[0]} at {position} at {fact.t:.1f} s",
            )
        self._where[crucible] = position
        self._moves[crucible].append((fact.t, position))

    def _place_at(self, crucible: str, t: float) -> str | None:
        """Where a crucible was at a moment."""
        found = None
        for since, position in self._moves.get(crucible, []):
            if since <= t:
                found = position
        return found

    def _check_places(self) -> None:
        """Where the journal says that a crucible is, there it is; or it says that nobody knows."""
        for attempt in self._story.of_kind("transfer"):
            goal = attempt.goal
            assert isinstance(goal, TransferGoal)
            for sample, said in attempt.positions.items():
                if not said or attempt.is_given_up():
                    continue
                container = self._story.containers.get(sample, goal.container_id)
                said = GRIPPER if said.endswith(f"/{GRIPPER}") else said
                found = self._place_at(container, attempt.ended_s + SLACK_S)
                if found != said:
                    self._say(
                        "journal says another place",
                        f"after {attempt.attempt_id} the journal has {container} at {said}; it was "
                        f"at {found}",
                    )
            # One that was to look where a crucible is does what it should without finding it.
            carried = [sample for sample in attempt.done if attempt.positions[sample]]
            if carried and self._place_at(goal.container_id, attempt.ended_s) != goal.target:
                self._say(
                    "transfer that was none",
                    f"{attempt.attempt_id} succeeded and {goal.container_id} was not at "
                    f"{goal.target}",
                )

    # --- doses --------------------------------------------------------------------------------

    def _check_doses(self) -> None:
        asked = self._story.of_kind("dispense")
        by_attempt: dict[str, list[Fact]] = defaultdict(list)
        in_crucible: Counter[tuple[str, str]] = Counter()
        for fact in self._of("powder fell"):
            attempt = owner(asked, fact.t, SLACK_S, fact["crucible"])
            if attempt is None:
                self._say(
                    "dose without an attempt",
                    f"{fact['fell_mg']:.2f} mg {fact['substance']} fell at {fact.t:.1f} s",
                )
                continue
            by_attempt[attempt.attempt_id].append(fact)
            goal = attempt.goal
            assert isinstance(goal, DispenseGoal)
            if fact["crucible"] != goal.container_id:
                self._say(
                    "dose into another crucible",
                    f"{attempt.attempt_id} dosed into {fact['crucible']}, not {goal.container_id}",
                )
            in_crucible[fact["crucible"] or "", fact["substance"]] += 1
        for (crucible, substance), count in in_crucible.items():
            if count > 1:
                self._say("dose repeated", f"{count} doses of {substance} fell into {crucible}")
        for attempt in asked:
            self._compare_doses(attempt, by_attempt[attempt.attempt_id])

    def _compare_doses(self, attempt: AttemptStory, fell: list[Fact]) -> None:
        outcome, goal = attempt.outcome, attempt.goal
        assert isinstance(goal, DispenseGoal)
        told = list(outcome.doses) if isinstance(outcome, DispenseOutcome) else []
        known = [dose for dose in told if dose.measured_mg is not None]
        spoilt = attempt.fates.get(goal.sample_id) in (
            SampleFate.COMPROMISED,
            SampleFate.LOST,
            SampleFate.PARTIAL,
        )
        if attempt.done and [fact["substance"] for fact in fell] != [
            dose.substance for dose in goal.doses
        ]:
            self._say(
                "doses given are not those asked for",
                f"{attempt.attempt_id}: {[fact['substance'] for fact in fell]} fell",
            )
        if len(fell) > len(known) and not spoilt:
            self._say(
                "dose not journaled",
                f"{attempt.attempt_id}: {len(fell)} doses fell, {len(known)} are in the journal, "
                "and the sample counts as sound",
            )
        for dose, fact in zip(known, fell, strict=False):
            assert dose.measured_mg is not None
            if dose.substance != fact["substance"] or (
                abs(dose.measured_mg - fact["landed_mg"]) > READING_MG
            ):
                self._say(
                    "dose journaled is not the dose given",
                    f"{attempt.attempt_id}: {dose.measured_mg:.2f} mg {dose.substance} in the "
                    f"journal, {fact['landed_mg']:.2f} mg {fact['substance']} in the crucible",
                )
        fewer = [dose for dose in known[len(fell) :] if (dose.measured_mg or 0.0) > READING_MG]
        if fewer:
            self._say(
                "dose journaled that was not given",
                f"{attempt.attempt_id}: {fewer[0].measured_mg} mg {fewer[0].substance}",
            )

    def _check_mixing(self) -> None:
        asked = self._story.of_kind("dispense")
        minutes: dict[str, float] = defaultdict(float)
        for fact in self._of("shaken"):
            attempt = owner(asked, fact.t, SLACK_S, fact["crucible"])
            if attempt is not None:
                minutes[attempt.attempt_id] += fact["minutes"]
        for attempt in asked:
            goal = attempt.goal
            assert isinstance(goal, DispenseGoal)
            if attempt.done and goal.mix_min and minutes[attempt.attempt_id] < 0.99 * goal.mix_min:
                self._say(
                    "mixing journaled that was not done",
                    f"{attempt.attempt_id}: {minutes[attempt.attempt_id]:.1f} of "
                    f"{goal.mix_min:g} min",
                )

    # --- heat ---------------------------------------------------------------------------------

    def _programs(self) -> list[_Program]:
        found: list[_Program] = []
        running: dict[str, Fact] = {}
        for fact in self._facts:
            begun = running.get(fact.instrument)
            if fact.what == "program begun":
                if begun is not None:
                    found.append(_Program(fact.instrument, begun, fact.t, False))
                running[fact.instrument] = fact
            elif begun is not None and fact.what == "program over":
                found.append(_Program(fact.instrument, begun, fact.t, False))
                del running[fact.instrument]
            elif begun is not None and fact.what == "programmer" and fact["state"] == "reset":
                found.append(_Program(fact.instrument, begun, fact.t, True))
                del running[fact.instrument]
        for furnace, begun in running.items():
            found.append(_Program(furnace, begun, float("inf"), False))
        return found

    def _check_heats(self) -> None:
        programs = self._programs()
        by_attempt: dict[str, list[_Program]] = defaultdict(list)
        for program in programs:
            asked = self._story.of_device(program.furnace)
            attempt = owner(asked, program.begun.t, SLACK_S)
            if attempt is None:
                self._say(
                    "heat without an attempt",
                    f"{program.furnace} began a program at {program.begun.t:.1f} s",
                )
                continue
            by_attempt[attempt.attempt_id].append(program)
            self._check_owner(program, attempt)
        for attempt in self._story.of_kind("heat"):
            self._check_heat(attempt, by_attempt[attempt.attempt_id])
        self._check_heater()
        self._check_firings(programs)
        self._check_hot_picks()

    def _check_owner(self, program: _Program, attempt: AttemptStory) -> None:
        """A furnace that runs belongs to an attempt, or was left to a known cold end."""
        if program.over_s <= attempt.ended_s + SLACK_S:
            return
        spoilt = all(
            fate in (SampleFate.COMPROMISED, SampleFate.LOST) for fate in attempt.fates.values()
        )
        known = attempt.code in ABANDONED_HEAT and spoilt and program.over_s < float("inf")
        if not known:
            self._say(
                "furnace left hot without an owner",
                f"{program.furnace} ran until {program.over_s:.0f} s; {attempt.attempt_id} ended "
                f"at {attempt.ended_s:.0f} s with code {attempt.code}",
            )

    def _check_heat(self, attempt: AttemptStory, programs: list[_Program]) -> None:
        goal = attempt.goal
        assert isinstance(goal, HeatGoal)
        if len(programs) > 1:
            self._say("heated twice", f"{attempt.attempt_id} ran {len(programs)} programs")
        if not attempt.done:
            return
        if not programs:
            self._say("heat journaled that was not done", f"{attempt.attempt_id} ran no program")
            return
        program = programs[-1]
        wanted_c = goal.profile.highest_c
        set_c = max(program.begun["setpoints_c"][1:], default=0.0)
        if abs(set_c - wanted_c) > 1.0:
            self._say(
                "heated to another temperature",
                f"{attempt.attempt_id} asked for {wanted_c:.0f} C, the program had {set_c:.0f} C",
            )
        wanted_min = sum(
            item.dwell_min for item in goal.profile.segments if item.target_c == wanted_c
        )
        felt_min = self._minutes_above(
            program.furnace, wanted_c - DWELL_BAND_C, program.begun.t, attempt.ended_s
        )
        outcome = attempt.outcome
        told_min = outcome.dwell_min if isinstance(outcome, HeatOutcome) else None
        if told_min is None or abs(felt_min - told_min) > TOLD_SHARE * wanted_min + TOLD_MIN:
            self._say(
                "dwell journaled is not the dwell felt",
                f"{attempt.attempt_id}: {felt_min:.0f} min at {wanted_c:.0f} C, the journal has "
                f"{told_min}",
            )
        if felt_min > 1.1 * wanted_min + 30.0:
            self._say(
                "dwell is longer than asked for",
                f"{attempt.attempt_id}: {felt_min:.0f} min at {wanted_c:.0f} C, "
                f"{wanted_min:.0f} min were asked for",
            )
        for sample in attempt.done:
            container = self._story.containers[sample]
            station = program.furnace
            for moment in (program.begun.t, min(program.over_s, self._end_s)):
                place = self._place_at(container, moment)
                if place is None or place.partition("/")[0] != station:
                    self._say(
                        "heat of a crucible that was elsewhere",
                        f"{container} was at {place} while {attempt.attempt_id} ran",
                    )
                    break

    def _minutes_above(self, furnace: str, above_c: float, begin: float, end: float) -> float:
        total = 0.0
        for fact in self._of("temperatures"):
            if fact.instrument != furnace:
                continue
            for index, value in enumerate(fact["crucible_c"]):
                t = fact["since_s"] + index * fact["step_s"]
                if begin <= t <= end and value >= above_c:
                    total += fact["step_s"] / 60.0
        return total

    def _check_heater(self) -> None:
        """Current through a heater belongs to an attempt, whatever the programmer says."""
        for fact in self._of("temperatures"):
            if not fact["heating"]:
                continue
            asked = self._story.of_device(fact.instrument)
            if owner(asked, fact.t, 60.0) is not None:
                continue
            last = [item for item in asked if item.ended_s < fact.t]
            if not last or last[-1].code not in ABANDONED_HEAT:
                self._say(
                    "furnace left hot without an owner",
                    f"{fact.instrument} was heating at {fact.t:.0f} s and no attempt was under way",
                )

    def _check_firings(self, programs: list[_Program]) -> None:
        """A sample whose experiment succeeded was fired as often as its recipe did."""
        fired: Counter[str] = Counter()
        for program in programs:
            top = self._highest(program.furnace, program.begun.t, program.over_s)
            if top < HOT_C:
                continue
            for crucible in self._moves:
                place = self._place_at(crucible, program.begun.t)
                if place is not None and place.partition("/")[0] == program.furnace:
                    fired[crucible] += 1
        succeeded = {
            item.experiment_id
            for item in self._story.experiments_ended
            if item.state is ExperimentState.SUCCEEDED
        }
        for sample, container in self._story.containers.items():
            if self._story.experiments[sample] not in succeeded:
                continue
            done = sum(sample in item.done for item in self._story.of_kind("heat"))
            if fired[container] != done:
                self._say(
                    "fired another number of times than journaled",
                    f"{container} ({sample}) was fired {fired[container]} times; the journal has "
                    f"{done}",
                )

    def _highest(self, furnace: str, begin: float, end: float) -> float:
        values = [0.0]
        for fact in self._of("temperatures"):
            if fact.instrument == furnace:
                for index, value in enumerate(fact["crucible_c"]):
                    if begin <= fact["since_s"] + index * fact["step_s"] <= end:
                        values.append(value)
        return max(values)

    def _check_hot_picks(self) -> None:
        unload_c = {}
        for attempt in self._story.of_kind("heat"):
            goal = attempt.goal
            assert isinstance(goal, HeatGoal)
            for sample in attempt.sample_ids:
                unload_c[self._story.containers.get(sample, "")] = goal.profile.unload_below_c
        for fact in self._of("picked"):
            limit = unload_c.get(fact["crucible"], 80.0) + PICKED_HOT_C
            if (fact["temperature_c"] or 0.0) > limit:
                self._say(
                    "picked hot",
                    f"{fact['crucible']} was picked from {fact['position']} at "
                    f"{fact['temperature_c']:.0f} C",
                )

    # --- scans --------------------------------------------------------------------------------

    def _check_scans(self) -> None:
        attempts = {
            re.sub(r"[^A-Za-z0-9_.+-]", "-", item.attempt_id)[-64:]: item
            for item in self._story.of_kind("measure")
        }
        begun = Counter(fact["sample"] for fact in self._of("measurement begun"))
        for name, count in begun.items():
            if count > 1:
                self._say("measured twice", f"{name} was measured {count} times")
            if name not in attempts:
                self._say("measured without an attempt", f"{name} was measured")
        scans: dict[str, Fact] = {}
        for fact in self._of("scanned"):
            scans[fact["sample"]] = fact
            attempt = attempts.get(fact["sample"])
            if attempt is None:
                continue
            goal = attempt.goal
            assert isinstance(goal, MeasureGoal)
            container = self._story.containers.get(goal.sample_id)
            if fact["crucible"] != container:
                self._say(
                    "scan of another crucible",
                    f"{attempt.attempt_id} saw {fact['crucible']}, not {container}",
                )
        for name, attempt in attempts.items():
            outcome = attempt.outcome
            if not isinstance(outcome, MeasureOutcome) or outcome.pattern is None:
                continue
            scan = scans.get(name)
            if scan is None or scan["sha256"] != outcome.pattern.sha256:
                self._say(
                    "pattern that was not measured",
                    f"{attempt.attempt_id}: the journal's pattern is not what the diffractometer "
                    "wrote",
                )
        self._scans = {
            attempt.attempt_id: scans[name] for name, attempt in attempts.items() if name in scans
        }

    # --- yields -------------------------------------------------------------------------------

    def _check_yields(self) -> None:
        truths = {scan["sha256"]: scan["phases_mg"] for scan in self._scans.values()}
        by_sample = {}
        for attempt in self._story.of_kind("measure"):
            outcome = attempt.outcome
            if isinstance(outcome, MeasureOutcome) and outcome.pattern is not None and attempt.done:
                by_sample.setdefault(attempt.sample_ids[0], set()).add(outcome.pattern.sha256)
        fractions: dict[str, list[float]] = defaultdict(list)
        for attempt in self._story.of_kind("analyse"):
            goal, outcome = attempt.goal, attempt.outcome
            assert isinstance(goal, AnalyseGoal)
            if not attempt.done or not isinstance(outcome, AnalyseOutcome):
                continue
            if goal.pattern.sha256 not in by_sample.get(goal.sample_id, set()):
                self._say(
                    "analysis of another sample's scan",
                    f"{attempt.attempt_id} of {goal.sample_id}",
                )
                continue
            fraction = outcome.target_fraction
            assert fraction is not None
            fractions[self._story.experiments[goal.sample_id]].append(fraction)
            truth = _share(truths.get(goal.pattern.sha256, {}), goal.target_phase)
            if abs(truth - fraction) > FRACTION_TRUE:
                self._say(
                    "yield far from what was in the crucible",
                    f"{attempt.attempt_id}: {fraction:.2f}, in truth {truth:.2f}",
                )
            if self._analyse is None or self._analysed >= MOST_ANALYSES:
                continue
            self._analysed += 1
            again = self._analyse(goal)
            if again is None or abs(again - fraction) > FRACTION_EXACT:
                self._say(
                    "yield that its scan does not give",
                    f"{attempt.attempt_id}: {fraction:.6f} in the journal, {again} from the scan",
                )
        for experiment, made in self._story.observations.items():
            self._check_observation(experiment, made, fractions[experiment])

    def _check_observation(self, experiment: str, made: list, fractions: list[float]) -> None:
        if len(made) > 1:
            self._say("observed twice", f"{experiment} has {len(made)} observations")
        observation = made[-1].observation
        if observation.status is not ObservationKind.MEASURED:
            return
        value = observation.objective
        if value is None or not any(abs(value - item) < FRACTION_EXACT for item in fractions):
            self._say(
                "observation that was not measured",
                f"{experiment}: {value}; its analyses gave {fractions}",
            )

    # --- the end ------------------------------------------------------------------------------

    def _check_ends(self) -> None:
        ended = Counter(item.experiment_id for item in self._story.experiments_ended)
        for experiment in self._story.suggested:
            if ended[experiment] != 1:
                self._say(
                    "experiment without one end", f"{experiment} ended {ended[experiment]} times"
                )
            if experiment not in self._story.observations:
                self._say("experiment without an observation", f"{experiment} taught nothing")
        self._check_whereabouts()
        if len(self._story.campaign_ends) != 1 or self._story.campaign is None:
            self._say(
                "campaign without one end",
                f"the journal has {len(self._story.campaign_ends)} ends of its campaign",
            )
            return
        code = self._story.campaign_ends[0].code
        budget = self._story.campaign.plan.config.budget.experiments
        done = len(self._story.suggested) == budget or self._story.exhausted
        if code == FaultCode.NONE and not done:
            self._say(
                "budget not done",
                f"{len(self._story.suggested)} of {budget} experiments, and the campaign says that "
                "all is well",
            )
        if code not in {int(item) for item in FaultCode} or code in (
            FaultCode.UNKNOWN,
            FaultCode.INTERNAL_ERROR,
        ):
            self._say(
                "campaign ended without a typed reason",
                f"code {code}: {self._story.campaign_ends[0].message}",
            )

    def _check_whereabouts(self) -> None:
        """Every crucible that was used is where the journal has it, or is said to be lost."""
        last: dict[str, str] = {}
        for attempt in sorted(self._story.of_kind("transfer"), key=lambda item: item.ended_s):
            goal = attempt.goal
            assert isinstance(goal, TransferGoal)
            for position in attempt.positions.values():
                last[goal.container_id] = position
        for container, said in last.items():
            said = GRIPPER if said.endswith(f"/{GRIPPER}") else said
            if said and said != self._where.get(container):
                self._say(
                    "sample not accounted for",
                    f"{container} is at {self._where.get(container)}; the journal has it at {said}",
                )


def _share(phases_mg: dict[str, float], phase: str) -> float:
    total = sum(phases_mg.values())
    return phases_mg.get(phase, 0.0) / total if total else 0.0


def without(facts: Iterable[Fact], number: int) -> list[Fact]:
    """Facts but for one; for tests of the checker."""
    return [fact for fact in facts if fact.number != number]


def changed(facts: Iterable[Fact], number: int, **values: object) -> list[Fact]:
    """Facts of which one has other values; for tests of the checker."""
    return [
        replace(fact, values={**fact.values, **values}) if fact.number == number else fact
        for fact in facts
    ]
