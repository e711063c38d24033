"""Everything a search space may be passes through a message unchanged, and through a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from matlab_ros.model.campaign_config import CampaignConfig, load_campaign
from matlab_ros.model.errors import ConfigError
from matlab_ros.nodes.space_messages import space_from, space_to
from matlab_ros.planning.space_config import furnace_of, space_of
from matlab_ros_interfaces import msg

EVERYTHING = """
name: everything
target: {formula: MgO, phase: p}
sample_mass_mg: 1
recipe: r
parameters:
  - {name: li, kind: continuous, low: 0, high: 1}
  - {name: mn, kind: continuous, low: 0, high: 0.8}
  - {name: heat_c, kind: continuous, low: 600, high: 900, step: 5}
  - {name: dwell_h, kind: continuous, low: 0.5, high: 24, scale: log}
  - {name: rounds, kind: integer, low: 1, high: 3}
  - {name: ball_mm, kind: discrete, values: [1, 2, 10], scale: log}
  - name: gas
    kind: categorical
    choices: [air, argon]
    descriptors: {air: [0.21, 1], argon: [0, 1]}
  - {name: flow, kind: continuous, low: 1, high: 5, when: "$gas == 'argon'"}
mixtures:
  - {components: [li, mn], total: 1, most: 2, least: 0.1}
constraints: ["$heat_c <= 800 or $dwell_h <= 12"]
furnace: {shared: [heat_c, dwell_h], slots: 4, run_price: 3}
budget: {experiments: 1}
"""


def _written(tmp_path: Path, text: str) -> CampaignConfig:
    file = tmp_path / "campaign.yaml"
    file.write_text(text, encoding="utf-8")
    return load_campaign(file)


def test_a_space_passes_through_a_message_unchanged(tmp_path: Path) -> None:
    config = _written(tmp_path, EVERYTHING)
    message = msg.CampaignDefinition(**space_to(config))
    data = config.model_dump(exclude={"parameters", "mixtures", "constraints", "furnace"})
    again = CampaignConfig.model_validate({**data, **space_from(message, "message")})
    assert again == config
    assert space_of(again) == space_of(config)
    assert furnace_of(again) == furnace_of(config)


def test_candidates_come_from_a_table_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "tried.csv").write_text("heat_c,gas\n650,air\n700,argon\n", encoding="utf-8")
    config = _written(
        tmp_path,
        """
name: listed
target: {formula: MgO, phase: p}
sample_mass_mg: 1
recipe: r
parameters:
  - {name: heat_c, kind: continuous, low: 600, high: 900}
  - {name: gas, kind: categorical, choices: [air, argon]}
candidates: tried.csv
budget: {experiments: 2}
""",
    )
    assert config.candidates == ({"heat_c": 650.0, "gas": "air"}, {"heat_c": 700.0, "gas": "argon"})
    message = msg.CampaignDefinition(**space_to(config))
    assert space_from(message, "message")["candidates"] == config.candidates
    assert [dict(row) for row in space_of(config).table or ()] == list(config.candidates)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("shared: [heat_c, dwell_h]", "shared: [heat]", "furnace.shared names 'heat'"),
        ("components: [li, mn]", "components: [li, xx]", "mixtures names 'xx'"),
        ("values: [1, 2, 10]", "values: [2, 2]", "a value stands twice"),
        ("argon: [0, 1]", "argon: [0]", "descriptors do not fit the choices"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_by_key(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in EVERYTHING
    with pytest.raises(ConfigError, match=words):
        _written(tmp_path, EVERYTHING.replace(old, new))


def test_a_table_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("heat_c,gas\n650\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 2 is not as long as the first"):
        _written(tmp_path, EVERYTHING.replace("budget:", "candidates: bad.csv\nbudget:"))
    with pytest.raises(ConfigError, match=r"none\.csv cannot be read"):
        _written(tmp_path, EVERYTHING.replace("budget:", "candidates: none.csv\nbudget:"))
