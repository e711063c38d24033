"""``matlab-ros explain`` says of a journal why each experiment was asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from matlab_ros.cli import main
from matlab_ros.lab.engine import Engine
from matlab_ros.lab.journal import SqlJournal
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.recipe import load_recipe
from matlab_ros.nodes.campaign_folder import CampaignFolder
from matlab_ros.nodes.explained_campaign import history_of
from matlab_ros.nodes.table_lab import CampaignPlanner, run_table_lab
from matlab_ros.nodes.table_plan import table_plan
from matlab_ros.planning.campaign import Campaign, plan_of
from matlab_ros.planning.observation import Pending
from matlab_ros.share import config_file

CONFIG = CampaignConfig.model_validate(
    {
        "name": "kiln",
        "seed": 3,
        "target": {"formula": "MgTiO3", "phase": "MgTiO3"},
        "sample_mass_mg": 500,
        "recipe": "solid_state",
        "precursor_sets": [
            {"name": "oxide", "substances": ("MgO", "TiO2")},
            {"name": "carbonate", "substances": ("MgCO3", "TiO2")},
        ],
        "parameters": [
            {"name": "precursors", "kind": "categorical", "choices": ("oxide", "carbonate")},
            {"name": "temperature_c", "kind": "continuous", "low": 700, "high": 1200},
            {"name": "dwell_h", "kind": "continuous", "low": 1, "high": 12, "scale": "log"},
        ],
        "budget": {"experiments": 12, "max_in_flight": 3},
        "planner": {"initial_experiments": 5, "batch_size": 1},
    }
)


@dataclass(frozen=True)
class Product:
    objective: float
    sigma: float = 0.02


class Kiln:
    """A yield that depends on how hot it was, a little on the powder, and on nothing else."""

    def outcome(self, settings: Mapping[str, Any]) -> Product:
        heat = (float(settings["temperature_c"]) - 1000) / 150
        return Product(math.exp(-(heat**2)) * (1.0 if settings["precursors"] == "oxide" else 0.8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign that ran."""
    torch.set_num_threads(1)
    results = tmp_path_factory.mktemp("results")
    found = CampaignFolder.for_run(results, CONFIG.name)
    recipe_file = config_file("recipes", CONFIG.recipe)
    lab, plan = table_plan(CONFIG, load_recipe(recipe_file), recipe_file)
    journal = SqlJournal(found.journal_url)
    try:
        planner = CampaignPlanner(Campaign(plan_of(CONFIG)))
        run_table_lab(Engine(lab, journal), plan, Kiln(), planner)
    finally:
        journal.close()
    return found.path


def explained(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["explain", str(folder), *more, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_an_experiment_is_explained_with_what_was_known_when_it_was_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explained(folder, capsys, "e0009")
    experiment, model = found["experiment"], found["model"]
    assert experiment["experiment_id"] == "kiln-e0009"
    assert experiment["is_data_known"] is True
    assert experiment["seed"] > 0
    assert "botorch" in experiment["software"]
    assert experiment["observations"] + len(experiment["pending"]) == 8
    assert 0 < len(experiment["pending"]) <= 2
    expected = experiment["expected"]
    assert expected["low"] < expected["mean"] < expected["high"]
    sigma = math.hypot(expected["sigma"], experiment["measured_sigma"])
    near = abs(experiment["measured"] - expected["mean"]) <= 1.96 * sigma
    assert experiment["is_inside"] == near
    distances = [item["distance"] for item in experiment["nearest"]]
    assert distances == sorted(distances)
    assert not {item["experiment_id"] for item in experiment["nearest"]} & {"kiln-e0009"}
    assert model["observations"] == experiment["observations"]


def test_the_campaign_as_a_whole_is_explained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explained(folder, capsys)
    model = found["model"]
    assert found["experiment"] is None
    assert model["observations"] == 12
    assert model["importance"][0]["name"] == "temperature_c"
    assert [item["name"] for item in model["slices"]] == ["precursors", "temperature_c", "dwell_h"]
    # All but the five first ones, and the few asked for before they were measured.
    assert 5 <= model["calibration"]["count"] <= 7


def test_it_reads_well(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(folder), "kiln-e0010"]) == 0
    text = capsys.readouterr().out
    for words in (
        "kiln-e0010: ",
        "expected",
        "95% between",
        "as in the journal",
        "Nearest earlier experiments",
        "What matters",
        "temperature (°C)",
        "How often it was right",
        "inside the 95% intervals",
    ):
        assert words in text, text
    assert "nan" not in text


def test_a_first_experiment_came_without_a_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(folder), "e0001"]) == 0
    text = capsys.readouterr().out
    assert "kiln-e0001: sobol" in text
    assert "– (no model)" in text
    assert "No model yet: 0 experiments are known." in text


def test_an_experiment_that_there_is_none_of_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(folder), "e0999"]) == 1
    assert "no experiment 'e0999'" in capsys.readouterr().err
    assert main(["explain", str(folder), "--name", "other"]) == 1
    assert "no campaign 'other'" in capsys.readouterr().err
    assert main(["explain", str(folder / "nowhere")]) == 2


def test_every_suggestion_can_be_computed_again_from_the_journal(folder: Path) -> None:
    """What the journal keeps is enough: plan, seed, data and what was in flight."""
    journal = CampaignFolder.existing(folder).journal()
    try:
        history = history_of(journal.read())
    finally:
        journal.close()
    for name in history.experiments[4:7]:
        experiment = history.experiment(name)
        assert experiment.is_data_known
        assert experiment.plan_sha256 == plan_of(CONFIG).sha256
        waiting = [Pending(item.experiment_id, item.settings) for item in experiment.pending]
        (again,) = Campaign(plan_of(CONFIG), history.known(name)).suggest(1, waiting)
        assert again.settings == experiment.settings
        assert again.provenance.seed == experiment.seed
