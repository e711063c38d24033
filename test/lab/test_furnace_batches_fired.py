"""What the planner places into one furnace run is fired in one furnace run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.events import AttemptIntended
from matlab_ros.lab.goals import HeatGoal
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import FaultCode
from matlab_ros.nodes.table_devices import TableDevices
from matlab_ros.nodes.table_lab import CampaignPlanner, TableLab, mapping_of, run_table_lab
from matlab_ros.planning.campaign import Campaign, plan_of

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "config/campaigns/furnace_batches.yaml"
PHASES = frozenset(
    {
        "MgTiO3",
        "MgO-Periclase",
        "MgCO3-Magnesite",
        "Mg(OH)2-Brucite",
        "TiO2-Anatase",
        "TiO2-Rutile",
    }
)


def furnace_plan(lab, recipe, method, experiments=16, batch=4, in_flight=8):
    """The example's plan with another method and a smaller budget."""
    config = load_campaign(FILE)
    planner = config.planner.model_copy(update={"method": method, "batch_size": batch})
    budget = config.budget.model_copy(
        update={"experiments": experiments, "max_in_flight": in_flight}
    )
    config = config.model_copy(update={"planner": planner, "budget": budget})
    return check_campaign(config, lab, recipe, PHASES, FILE)


def fired_in(journal):
    """Works of each furnace run that was begun."""
    events = [entry.event for entry in journal.read()]
    return [
        event.works
        for event in events
        if isinstance(event, AttemptIntended) and isinstance(event.goal, HeatGoal)
    ]


@pytest.mark.parametrize("method", ["sobol", "random"])
def test_four_that_are_proposed_together_are_fired_together(lab, recipe, table_world, method):
    plan = furnace_plan(lab, recipe, method)
    journal = MemoryJournal()
    engine = Engine(lab, journal)
    planner = CampaignPlanner(Campaign(plan_of(plan.config)))
    assert run_table_lab(engine, plan, table_world, planner).code == FaultCode.NONE
    fired = fired_in(journal)
    assert Counter(len(works) for works in fired) == {4: 4}
    for works in fired:
        own = [engine.state.experiments[work.experiment_id].suggestion.settings for work in works]
        assert len({mapping_of(item)["precursors"] for item in own}) > 1
        assert len({mapping_of(item)["temperature_c"] for item in own}) == 1


def test_the_planner_is_told_who_still_waits_for_a_furnace(lab, recipe, table_world):
    asked = []

    class Listening(CampaignPlanner):
        def suggest(self, experiment_ids, pending, unfired=()):
            asked.append((tuple(item.experiment_id for item in pending), tuple(unfired)))
            return super().suggest(experiment_ids, pending, unfired)

    plan = furnace_plan(lab, recipe, "sobol", experiments=8, batch=2, in_flight=6)
    engine = Engine(lab, MemoryJournal())
    planner = Listening(Campaign(plan_of(plan.config)))
    shop = TableLab(engine, TableDevices(table_world), planner)
    shop.start(plan)
    assert shop.run().code == FaultCode.NONE
    # The first two wait for their run when the next two are asked for, which join them.
    assert asked[0] == ((), ())
    assert len(asked[1][1]) == 2
    first = [engine.state.experiments[f"furnace_batches-e{n:04d}"] for n in (1, 2, 3, 4)]
    assert len({mapping_of(run.suggestion.settings)["temperature_c"] for run in first}) == 1
    # Later on some are fired or done, and those are not to be joined.
    assert any(len(unfired) < len(pending) for pending, unfired in asked)


def test_a_heat_parameter_that_is_not_shared_is_refused_in_words(lab, recipe):
    config = load_campaign(FILE)
    furnace = config.furnace.model_copy(update={"shared": ("temperature_c",)})
    with pytest.raises(ConfigError, match=r"'dwell_h', which step 'heat' heats by"):
        check_campaign(config.model_copy(update={"furnace": furnace}), lab, recipe, PHASES, FILE)
    furnace = config.furnace.model_copy(update={"slots": 40})
    with pytest.raises(ConfigError, match="40 crucibles do not fit"):
        check_campaign(config.model_copy(update={"furnace": furnace}), lab, recipe, PHASES, FILE)
