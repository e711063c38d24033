"""Bad input gets one sentence that names file, key and expectation, and nothing is started."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from matlab_ros import cli

DEADLINE_S = 60.0
BAD_INPUT = 2
DEMO = Path(__file__).parents[2] / "config" / "campaigns" / "demo.yaml"
Definition = dict[str, Any]


def _unknown_key(definition: Definition) -> None:
    definition["sample_weight_mg"] = 1000


def _unknown_nested_key(definition: Definition) -> None:
    definition["budget"]["max_in_fligth"] = 4


def _too_hot(definition: Definition) -> None:
    definition["parameters"][1]["high"] = 1650


def _not_stocked(definition: Definition) -> None:
    definition["precursor_sets"][2]["substances"] = ["BaCO3", "TiO2-anatase"]


def _unreachable(definition: Definition) -> None:
    definition["target"]["formula"] = "BaTiO3"


def _no_cif(definition: Definition) -> None:
    definition["target"]["phase"] = "MgTiO3-Nowhere"


def _unknown_recipe(definition: Definition) -> None:
    definition["recipe"] = "sol_gel"


def _unknown_lab(definition: Definition) -> None:
    definition["lab"] = "lab_of_my_dreams"


def _negative_budget(definition: Definition) -> None:
    definition["budget"]["experiments"] = -3


def _crucible_too_small(definition: Definition) -> None:
    definition["sample_mass_mg"] = 5000


@pytest.fixture
def refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Asks for a campaign in this process; the one line that is said about it."""

    def start(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", start)

    def ask(*arguments: str) -> str:
        results = tmp_path / "results"
        code = cli.main(["campaign", "--plain", "--results", str(results), *arguments])
        told = capsys.readouterr()
        assert code == cli.BAD_INPUT
        assert told.out == ""
        assert not results.exists()
        (line,) = told.err.splitlines()
        return line

    return ask


@pytest.mark.parametrize(
    ("spoil", "key", "expected"),
    [
        (_unknown_key, "sample_weight_mg", "sample_mass_mg"),
        (_unknown_nested_key, "budget.max_in_fligth", "max_in_flight"),
        (_too_hot, "parameters.1", "1400"),
        (_not_stocked, "precursor_sets.2.substances", "MgCO3"),
        (_unreachable, "precursor_sets.0.substances", "powders that can make the target"),
        (_no_cif, "target.phase", "CIF"),
        (_unknown_recipe, "recipe", "solid_state"),
        (_unknown_lab, "lab", "virtual_lab"),
        (_negative_budget, "budget.experiments", "1"),
        (_crucible_too_small, "sample_mass_mg", "3000"),
    ],
)
def test_a_campaign_that_cannot_be_done_is_refused_before_anything_starts(
    tmp_path: Path,
    refused: Callable[..., str],
    spoil: Callable[[Definition], None],
    key: str,
    expected: str,
) -> None:
    definition = copy.deepcopy(yaml.safe_load(DEMO.read_text()))
    spoil(definition)
    file = tmp_path / "spoilt.yaml"
    file.write_text(yaml.safe_dump(definition, sort_keys=False))
    said = refused(str(file))
    assert str(file) in said
    assert key in said
    assert expected in said.partition("expected")[2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "a YAML file"),
        ("name: [half", "a mapping of keys"),
        ("- a list\n", "a mapping of keys"),
        (b"name: \xff\xfe\n", "a YAML file"),
    ],
)
def test_a_file_that_is_no_campaign_is_named(
    tmp_path: Path, refused: Callable[..., str], content: str | bytes | None, expected: str
) -> None:
    file = tmp_path / "campaign.yaml"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    said = refused(str(file))
    assert str(file) in said
    assert expected in said


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--experiments", "0"], "--experiments"),
        (["--experiments", "41"], "budget.experiments"),
        (["--set", "furnace_1_offset_c=-80"], "--set"),
        (["--set", "furnace_9_offset_c:=-80"], "furnace_9_offset_c"),
        (["--speed", "-1"], "--speed"),
        (["--data", "somewhere"], "--data"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(
    refused: Callable[..., str], arguments: list[str], key: str
) -> None:
    assert key in refused(str(DEMO), *arguments)


def test_the_program_says_it_on_one_line_and_ends_with_code_2(tmp_path: Path) -> None:
    definition = yaml.safe_load(DEMO.read_text())
    _too_hot(definition)
    file = tmp_path / "spoilt.yaml"
    file.write_text(yaml.safe_dump(definition))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "matlab_ros.cli", "campaign", str(file)),
            *("--results", str(tmp_path / "results")),
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == BAD_INPUT
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert str(file) in line
    assert not (tmp_path / "results").exists()
