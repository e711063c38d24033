"""Campaigns in the other virtual worlds run to their end, and the analysis sees what was made."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml

from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.share import config_file
from matlab_ros.virtual.reactions import load_chemistry

WORLDS = {
    "lithium_titanate": "li_ti_o",
    "zinc_titanate": "zn_ti_o",
    "strontium_titanate": "sr_ti_o",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(WORLDS))
def test_a_campaign_in_another_world_ends_well_and_sees_the_truth(
    name: str, start: Callable[..., Any]
) -> None:
    file = config_file("campaigns", name)
    campaign = yaml.safe_load(file.read_text(encoding="utf-8"))
    process = start("--experiments", "8", campaign=campaign)
    assert process.end() == 0, process.told()
    told = process.observations()
    assert len(told) == 8

    chemistry = load_chemistry(config_file("chemistry", WORLDS[name]))
    reduced = {item.phase: parse_formula(item.formula).reduced for item in chemistry.species}
    log = process.path / "run" / "instrument_logs" / "diffractometer.facts.jsonl"
    truth = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        fact = json.loads(line)
        if fact["fact"] != "scanned":
            continue
        phases = fact["phases_mg"]
        total = sum(phases.values())
        shares: dict[str, float] = {}
        for phase, mass in phases.items():
            shares[reduced[phase]] = shares.get(reduced[phase], 0.0) + mass / total
        truth[fact["sample"].partition("-measure")[0]] = shares
    wanted = parse_formula(campaign["target"]["formula"]).reduced
    errors = [
        told[experiment].objective - truth[experiment].get(wanted, 0.0) for experiment in told
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 0.05
    main = [max(shares, key=lambda formula: shares[formula]) for shares in truth.values()]
    assert len(set(main)) >= 2, "experiments differ"
