"""Through all processes: what a short scan leaves open, a scan of the deciding angles settles."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from matlab_ros.lab.events import AttemptEnded, AttemptIntended
from matlab_ros.model.lab_words import Order, SecondOutcome, Verdict

CAMPAIGN: dict[str, Any] = {
    "name": "again",
    "seed": 3,
    "lab": "virtual_lab",
    "recipe": "adaptive_xrd",
    "target": {"formula": "MgTiO3", "phase": "MgTiO3"},
    "sample_mass_mg": 1000,
    "precursor_sets": [{"name": "MgO + rutile", "substances": ["MgO", "TiO2-rutile"]}],
    # Where little of the target forms, of which a minute's scan does not always tell the order.
    "parameters": [
        {"name": "temperature_c", "kind": "continuous", "low": 985, "high": 1025, "step": 5},
        {"name": "dwell_h", "kind": "continuous", "low": 2, "high": 4},
        {"name": "success", "kind": "continuous", "low": 0.01, "high": 0.02},
    ],
    "budget": {"experiments": 6, "max_in_flight": 6},
    "planner": {"method": "sobol", "initial_experiments": 6, "batch_size": 6},
}


def test_a_long_scan_of_the_deciding_angles_settles_what_the_short_one_left_open(
    start: Callable[..., Any],
) -> None:
    campaign = start(campaign=CAMPAIGN)
    assert campaign.end() == 0, campaign.told()

    intended = {item.attempt_id: item for item in campaign.events(AttemptIntended)}
    done: dict[str, dict[str, tuple[Any, Any]]] = {}
    for ended in campaign.events(AttemptEnded):
        begun = intended[ended.attempt_id]
        for work in begun.works:
            done.setdefault(work.experiment_id, {})[work.step_id] = (begun.goal, ended.outcome)
    assert len(done) == 6
    settled = []
    for steps in done.values():
        guess_goal, guess = steps["guess"]
        assert {item.element for item in guess_goal.dispensed} == {"Mg", "Ti", "O"}
        assert [share.holds for share in guess.balance] == [True, True]
        is_asked = guess.again.program is not None
        assert is_asked == ("look_again" in steps) == ("judge" in steps)
        if not is_asked:
            continue
        assert guess.verdict is Verdict.PROVISIONAL
        assert any("not proven" in remark for remark in guess.remarks)
        assert guess.again.ranges
        measured, _ = steps["look_again"]
        assert measured.program == guess.again.program.name
        judge_goal, judge = steps["judge"]
        assert judge_goal.earlier == (guess_goal.pattern,)
        assert judge_goal.pattern != guess_goal.pattern
        if [test.result for test in judge.order] == [Order.ORDERED]:
            assert judge.order[0].delta_bic > guess.order[0].delta_bic
            settled.append(judge)
    assert settled, [steps["guess"][1] for steps in done.values()]
    if importlib.util.find_spec("rietx") is not None:
        assert any(judge.verdict is Verdict.CONFIRMED for judge in settled)
        assert any(judge.second.outcome is SecondOutcome.AGREES for judge in settled)
