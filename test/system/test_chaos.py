"""Processes are killed and instruments misbehave: what physically happened is what is journaled."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from chaos_kit.audit import audit, changed, without  # noqa: E402
from chaos_kit.campaign import Analyst, ChaosCampaign, Record  # noqa: E402
from chaos_kit.facts import Fact, read_facts  # noqa: E402
from chaos_kit.story import Story, tell  # noqa: E402

from matlab_ros.lab import events as ev  # noqa: E402
from matlab_ros.lab.journal import JournalEntry  # noqa: E402
from matlab_ros.nodes.campaign_folder import CampaignFolder  # noqa: E402

Log = tuple[list[Fact], list[JournalEntry]]


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[ChaosCampaign, Record]:
    """A campaign of a few experiments in which a few processes are killed, and nothing else."""
    folder = tmp_path_factory.mktemp("chaos")
    campaign = ChaosCampaign(0, 7, 5, 4, folder / "work", misfortunes=False)
    return campaign, campaign.run()


@pytest.fixture(scope="session")
def good(short: tuple[ChaosCampaign, Record]) -> Log:
    """Logs and journal of that campaign."""
    campaign, record = short
    assert not record.violations, record.violations
    journal = CampaignFolder.existing(campaign.path).journal()
    try:
        return read_facts(campaign.path / "run" / "instrument_logs"), list(journal.read())
    finally:
        journal.close()


def test_nothing_is_lost_and_nothing_done_twice_when_processes_are_killed(
    short: tuple[ChaosCampaign, Record],
) -> None:
    _, record = short
    assert record.kills
    assert record.violations == []
    assert record.experiments == 4
    assert record.end == "budget done"


@pytest.mark.slow
def test_nothing_is_lost_in_fifty_kills_and_with_all_misfortunes(tmp_path: Path) -> None:
    kills = 0
    for index in range(4):
        record = ChaosCampaign(index, 50, 50 - kills, 24, tmp_path / str(index)).run()
        assert record.violations == []
        kills += len(record.kills)
        if kills >= 50:
            return
    raise AssertionError(f"only {kills} kills")


# --- the checker ------------------------------------------------------------------------------


def some(facts: list[Fact], what: str, seed: int, **values: Any) -> Fact:
    """One fact of a kind, chosen by the seed."""
    found = [
        fact
        for fact in facts
        if fact.what == what and all(fact.values.get(key) == value for key, value in values.items())
    ]
    return random.Random(seed).choice(found)


def kinds(facts: list[Fact], story: Story) -> set[str]:
    return {item.kind for item in audit(facts, story)}


def lose_a_dose(facts: list[Fact], seed: int) -> list[Fact]:
    return without(facts, some(facts, "powder fell", seed).number)


def double_a_dose(facts: list[Fact], seed: int) -> list[Fact]:
    fact = some(facts, "powder fell", seed)
    at = facts.index(fact)
    return [*facts[: at + 1], replace(fact, t=fact.t + 0.1), *facts[at + 1 :]]


def change_a_mass(facts: list[Fact], seed: int) -> list[Fact]:
    fact = some(facts, "powder fell", seed)
    return changed(facts, fact.number, landed_mg=fact["landed_mg"] - 1.0)


def change_a_powder(facts: list[Fact], seed: int) -> list[Fact]:
    return changed(facts, some(facts, "powder fell", seed).number, substance="MgCO3")


def dose_into_another(facts: list[Fact], seed: int) -> list[Fact]:
    return changed(facts, some(facts, "powder fell", seed).number, crucible="crucible-30")


def dose_at_the_wrong_time(facts: list[Fact], seed: int) -> list[Fact]:
    fact = some(facts, "powder fell", seed)
    return [replace(item, t=5.0) if item is fact else item for item in facts]


def swap_two_crucibles(facts: list[Fact], seed: int) -> list[Fact]:
    """From some moment on two crucibles have each other's names in the robot's log."""
    one, other = "crucible-01", "crucible-02"
    names = {one: other, other: one}
    start = random.Random(seed).choice([f for f in facts if f.values.get("crucible") == one])
    return [
        replace(f, values={**f.values, "crucible": names.get(f["crucible"], f["crucible"])})
        if f.number > start.number and f.instrument == "robot"
        else f
        for f in facts
    ]


def stand_two_in_one_place(facts: list[Fact], seed: int) -> list[Fact]:
    fact = some(facts, "stands", seed)
    return changed(
        facts, fact.number, position="rack/1" if fact["position"] != "rack/1" else "rack/2"
    )


def forget_a_carry(facts: list[Fact], seed: int) -> list[Fact]:
    return without(facts, some(facts, "placed", seed).number)


def put_it_elsewhere(facts: list[Fact], seed: int) -> list[Fact]:
    return changed(facts, some(facts, "placed", seed).number, position="rack/48")


def carry_unasked(facts: list[Fact], seed: int) -> list[Fact]:
    fact = some(facts, "picked", seed)
    late = replace(fact, number=10**6, t=facts[-1].t + 1e5)
    return [*facts, replace(late, values={**fact.values, "crucible": "crucible-40"})]


def leave_a_furnace_hot(facts: list[Fact], seed: int) -> list[Fact]:
    last = some(facts, "program over", seed)
    return without(facts, last.number)


def heat_unasked(facts: list[Fact], seed: int) -> list[Fact]:
    fact = some(facts, "temperatures", seed)
    late = replace(fact, number=10**6, t=facts[-1].t + 1e5)
    return [*facts, replace(late, values={**fact.values, "heating": True})]


def heat_again(facts: list[Fact], seed: int) -> list[Fact]:
    over = some(facts, "program over", seed)
    begun = [f for f in facts if f.what == "program begun" and f.instrument == over.instrument]
    again = replace(begun[0], t=over.t + 1.0)
    at = facts.index(over)
    return [*facts[: at + 1], again, replace(over, t=over.t + 2.0), *facts[at + 1 :]]


def heat_in_secret(facts: list[Fact], seed: int) -> list[Fact]:
    return without(facts, some(facts, "program begun", seed).number)


def heat_too_little(facts: list[Fact], seed: int) -> list[Fact]:
    return [
        replace(f, values={**f.values, "crucible_c": [0.9 * c for c in f["crucible_c"]]})
        if f.what == "temperatures"
        else f
        for f in facts
    ]


def pick_hot(facts: list[Fact], seed: int) -> list[Fact]:
    return changed(facts, some(facts, "picked", seed).number, temperature_c=600.0)


def scan_another(facts: list[Fact], seed: int) -> list[Fact]:
    return changed(facts, some(facts, "scanned", seed).number, crucible="crucible-30")


def change_a_scan(facts: list[Fact], seed: int) -> list[Fact]:
    return changed(facts, some(facts, "scanned", seed).number, sha256="0" * 64)


def measure_twice(facts: list[Fact], seed: int) -> list[Fact]:
    fact = some(facts, "measurement begun", seed)
    return [*facts, replace(fact, number=10**6)]


def mix_less(facts: list[Fact], seed: int) -> list[Fact]:
    return changed(facts, some(facts, "shaken", seed).number, minutes=1.0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("mutate", "kind"),
    [
        (lose_a_dose, "doses given are not those asked for"),
        (double_a_dose, "dose repeated"),
        (change_a_mass, "dose journaled is not the dose given"),
        (change_a_powder, "doses given are not those asked for"),
        (dose_into_another, "dose into another crucible"),
        (dose_at_the_wrong_time, "dose without an attempt"),
        (swap_two_crucibles, "wrong crucible carried"),
        (stand_two_in_one_place, "two crucibles in one place"),
        (forget_a_carry, "crucible in two places"),
        (put_it_elsewhere, "journal says another place"),
        (carry_unasked, "carried without an attempt"),
        (leave_a_furnace_hot, "furnace left hot without an owner"),
        (heat_unasked, "furnace left hot without an owner"),
        (heat_again, "heated twice"),
        (heat_in_secret, "heat journaled that was not done"),
        (heat_too_little, "dwell journaled is not the dwell felt"),
        (pick_hot, "picked hot"),
        (scan_another, "scan of another crucible"),
        (change_a_scan, "pattern that was not measured"),
        (measure_twice, "measured twice"),
        (mix_less, "mixing journaled that was not done"),
    ],
)
def test_the_checker_sees_what_instruments_did_otherwise(
    good: Log, mutate: Callable[[list[Fact], int], list[Fact]], kind: str, seed: int
) -> None:
    facts, entries = good
    assert kind in kinds(mutate(facts, seed), tell(entries))


def is_a(kind: type[ev.Event]) -> Callable[[JournalEntry], bool]:
    return lambda entry: isinstance(entry.event, kind)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("event", "change", "kind"),
    [
        (ev.AttemptEnded, "lose", "attempt without one end"),
        (ev.AttemptEnded, "double", "attempt without one end"),
        (ev.AttemptIntended, "double", "attempt id used twice"),
        (ev.ExperimentEnded, "lose", "experiment without one end"),
        (ev.ObservationMade, "lose", "experiment without an observation"),
        (ev.ObservationMade, "double", "observed twice"),
        (ev.CampaignEnded, "lose", "campaign without one end"),
    ],
)
def test_the_checker_sees_what_the_journal_lacks_or_repeats(
    good: Log, event: type[ev.Event], change: str, kind: str, seed: int
) -> None:
    facts, entries = good
    entry = random.Random(seed).choice([item for item in entries if is_a(event)(item)])
    at = entries.index(entry)
    kept = entries[:at] + ([] if change == "lose" else [entry, entry]) + entries[at + 1 :]
    assert kind in kinds(facts, tell(kept))


def test_the_checker_sees_a_yield_that_was_not_measured(good: Log) -> None:
    facts, entries = good
    at = next(index for index, entry in enumerate(entries) if is_a(ev.ObservationMade)(entry))
    made = entries[at].event
    assert isinstance(made, ev.ObservationMade)
    observation = replace(made.observation, objective=0.123)
    entries = list(entries)
    entries[at] = replace(entries[at], event=replace(made, observation=observation))
    assert "observation that was not measured" in kinds(facts, tell(entries))


def test_the_checker_does_the_analysis_again(good: Log) -> None:
    facts, entries = good
    assert audit(facts, tell(entries), Analyst()) == ()
    found = audit(facts, tell(entries), lambda goal: 0.5)
    assert {item.kind for item in found} == {"yield that its scan does not give"}


def test_the_checker_sees_the_yield_of_another_sample(good: Log) -> None:
    facts, entries = good
    fact = some(facts, "scanned", 0)
    truth = "MgTiO3" if fact["phases_mg"].get("MgTiO3", 0.0) < 100.0 else "MgO-Periclase"
    facts = changed(facts, fact.number, phases_mg={truth: 500.0})
    assert "yield far from what was in the crucible" in kinds(facts, tell(entries))
