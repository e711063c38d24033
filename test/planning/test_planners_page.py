"""What docs/planners.md shows can be run as it stands."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from matlab_ros.model.campaign_config import BudgetConfig, PlannerConfig
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.dimensions import ContinuousDimension
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.plugins import PLANNERS, planner_named, planners
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

PAGE = (Path(__file__).parents[2] / "docs/planners.md").read_text()
LINE = SearchSpace((ContinuousDimension("x", 0, 1),))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_examples_run_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for block in blocks("python")[:3]:
        exec(compile(block, "planners.md", "exec"), names)
    told = capsys.readouterr().out
    assert "objective=0.78" in told
    assert "data_sha256=" in told
    assert "temperature_c 1.0" in told or "temperature_c 0.9" in told


def test_every_planner_is_on_the_page_and_every_name_on_the_page_is_one() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    ours = {item.name for item in PLANNERS}
    assert set(listed) <= ours
    assert {"bayesian", "nimo", "baybe", "ax", "nimo-loop", "genetic"} <= set(listed)


def test_the_files_shown_are_valid() -> None:
    for block in blocks("yaml"):
        found = yaml.safe_load(block)
        PlannerConfig.model_validate(found["planner"])
        if "budget" in found:
            BudgetConfig.model_validate(found["budget"])


@pytest.fixture
def climber(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page's own planner, installed as a package would be."""
    (tmp_path / "climbing.py").write_text(blocks("python")[3])
    (entry,) = blocks("toml")
    name, place = re.search(r'^([a-z-]+) = "(.+)"$', entry, re.MULTILINE).groups()  # type: ignore[union-attr]
    info = tmp_path / "climbing-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: climbing\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text(f"[matlab_ros.planners]\n{name} = {place}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "climbing", raising=False)
    return str(name)


def test_a_planner_of_ones_own_needs_a_file_and_an_entry(climber: str) -> None:
    plan = CampaignPlan(LINE, method=climber, options=Settings({"step": 0.2}), seed=2)
    campaign = Campaign(plan)
    for number in range(25):
        item = campaign.suggest(1)[0]
        assert item.method == "climber"
        x = item.settings.number("x")
        measured = ObservationStatus.MEASURED
        campaign.report(Observation(f"e{number:02d}", item.settings, measured, -((x - 0.7) ** 2)))
    best = campaign.best()
    assert best is not None
    assert best.objective > -1e-3
    assert "climbing 2.5" in campaign.suggest(1)[0].provenance.software
    assert climber in {item.name for item in planners()}


def test_a_plugin_that_is_broken_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_planner.py").write_text("import package_that_is_nowhere\n")
    (tmp_path / "odd_planner.py").write_text("def odd(options):\n    return 3\n")
    info = tmp_path / "broken_planner-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-planner\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[matlab_ros.planners]\nbroken = broken_planner:make\nodd = odd_planner:odd\n"
        "random = odd_planner:odd\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    with pytest.raises(PlanningError, match="package_that_is_nowhere"):
        Campaign(CampaignPlan(LINE, method="broken"))
    with pytest.raises(PlanningError, match=r"gave a int .* expected an object with a method"):
        Campaign(CampaignPlan(LINE, method="odd"))
    # A plug-in cannot take the name of one of ours.
    assert planner_named("random").packages == ("numpy",)


def test_a_planner_that_nobody_has_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        PlanningError, match=r"'guess' is unknown; expected one of bayesian, random"
    ):
        Campaign(CampaignPlan(LINE, method="guess"))


def test_equal_plans_have_equal_hashes_in_every_process() -> None:
    def plan(seed: int = 3) -> CampaignPlan:
        space = SearchSpace((ContinuousDimension("x", 0, 1), ContinuousDimension("y", 1, 2)))
        return CampaignPlan(space, seed=seed, options=Settings({"b": 1.0, "a": "x"}))

    assert plan().sha256 == plan().sha256 != plan(4).sha256
    assert " at 0x" not in repr(plan())
