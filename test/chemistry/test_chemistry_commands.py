"""``matlab-ros precursors``, ``advice`` and ``target``: what people and programs get from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from matlab_ros.chemistry import tables
from matlab_ros.cli import main
from matlab_ros.model.campaign_config import CampaignConfig

needs_tables = pytest.mark.skipif(
    not tables.is_installed(), reason=f"needs the thermodynamic tables: {tables.INSTALL}"
)


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict:  # type: ignore[type-arg]
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@needs_tables
def test_sets_of_a_lab_with_masses_energies_and_sources(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = answer(capsys, "precursors", "MgTiO3", "--temperature", "1100", "--mass", "400")
    assert len(found["sets"]) == 6
    oxide = next(item for item in found["sets"] if item["name"] == "MgO + TiO2-rutile")
    assert sum(dose["mass_mg"] for dose in oxide["doses"]) == pytest.approx(400, abs=0.01)
    assert oxide["energy"]["mev_per_atom"] < 0
    assert set(oxide["energy"]["sources"]) == {"MgO", "TiO2", "MgTiO3"}
    assert found["stability"]["kj_per_mol_of_staying_atoms"] < 0


def test_without_any_energy_the_sets_are_still_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise tables.MissingChemistryExtra

    monkeypatch.setattr(tables, "_library_data", missing)
    found = answer(capsys, "precursors", "MgTiO3")
    assert len(found["sets"]) == 6
    assert found["stability"] is None
    assert "pip install" in found["sets"][0]["unknown_energy"]


def test_a_person_sees_masses_refusals_and_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["precursors", "Li2TiO3", "--stock", "Li2CO3,LiNO3,TiO2", "--temperature", "1050"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "(+10 %)" in text
    assert "nitrous_gases" in text
    assert "exhaust" in text


def test_a_reader_that_has_seen_enough_ends_it_without_a_word() -> None:
    words = [sys.executable, "-m", "matlab_ros.cli", "precursors", "MgTiO3"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 141


def test_nothing_allowed_is_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["precursors", "Li2TiO3", "--stock", "LiNO3,TiO2"]) == 1
    assert main(["precursors", "Li2TiO3", "--stock", "MgO"]) == 1
    assert "missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["precursors", "Mgo"],
        ["precursors", "MgTiO3", "--lab", "nowhere"],
        ["precursors", "MgTiO3", "--mass", "-1"],
        ["precursors", "MgTiO3", "--left", "MgO"],
        ["precursors", "MgTiO3", "--left", "gold=1"],
        ["precursors", "MgTiO3", "--stock", ","],
        ["advice", "ask", "MgTiO3", "--chat", "http://localhost:1/v1"],
        ["target", "no_such_file.cif.txt"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_sentence_and_exit_code_two(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "; expected" in error
    assert "Traceback" not in error


def campaign_with(snippet: Path, **changes: object) -> CampaignConfig:
    """The demo campaign with the lines of a snippet instead of its own."""
    lines = yaml.safe_load(snippet.read_text())
    data = {
        "name": "tried",
        "target": {"formula": "Li2TiO3", "phase": "Li2TiO3-monoclinic"},
        "sample_mass_mg": 500,
        "recipe": "solid_state",
        "precursor_sets": lines["precursor_sets"],
        "parameters": [
            *lines["parameters"],
            {"name": "temperature_c", "kind": "continuous", "low": 700, "high": 1100},
        ],
        "budget": {"experiments": 4},
    }
    return CampaignConfig.model_validate({**data, **changes})


def test_the_written_lines_are_a_campaigns_sets_with_their_excess(tmp_path: Path) -> None:
    path = tmp_path / "sets.yaml"
    words = ["precursors", "Li2TiO3", "--stock", "Li2CO3,LiNO3,LiOH,TiO2", "--write", str(path)]
    assert main(words) == 0
    campaign = campaign_with(path)
    assert {item.name for item in campaign.precursor_sets} == {"Li2CO3 + TiO2", "LiOH + TiO2"}
    assert campaign.precursor_sets[0].excess_percent == {
        campaign.precursor_sets[0].substances[0]: 5
    }
    assert path.read_text().startswith("#")


def test_an_excess_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sets.yaml"
    assert main(["precursors", "Li2TiO3", "--stock", "Li2CO3,TiO2", "--write", str(path)]) == 0
    sets = [{"name": "x", "substances": ["TiO2"], "excess_percent": {"MgO": 5}}]
    with pytest.raises(ValueError, match="MgO"):
        campaign_with(path, precursor_sets=sets)


def test_advice_is_written_for_a_person_and_accepted_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proposals, lines = tmp_path / "proposals.yaml", tmp_path / "lines.yaml"
    assert main(["advice", "ask", "MgTiO3", "--write", str(proposals)]) == 0
    text = proposals.read_text()
    assert "not looked at by anybody" in text
    assert not lines.exists()
    words = ["advice", "accept", str(proposals), "--by", "Ada", "--write", str(lines)]
    assert main(words) == 0
    assert "accepted by Ada" in lines.read_text()
    assert "MgO + TiO2-anatase" in [
        s["name"] for s in yaml.safe_load(lines.read_text())["precursor_sets"]
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("- MgO", "- KClO4", "no set of stocked powders"),
        ("temperature_c: 1400.0", "temperature_c: 2400.0", "outside"),
        ("temperature_c: 1400.0", "run: anything\n  temperature_c: 1400.0", "unknown key"),
    ],
    ids=["powder", "temperature", "key"],
)
def test_what_was_changed_in_a_proposal_is_checked_again(
    old: str, new: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proposals, lines = tmp_path / "proposals.yaml", tmp_path / "lines.yaml"
    assert main(["advice", "ask", "MgTiO3", "--write", str(proposals)]) == 0
    proposals.write_text(proposals.read_text().replace(old, new))
    assert main(["advice", "accept", str(proposals), "--by", "Ada", "--write", str(lines)]) == 2
    assert problem in capsys.readouterr().err
    assert not lines.exists()


def test_a_rule_about_heat_is_asked_at_the_temperature_that_is_proposed(tmp_path: Path) -> None:
    """Below 600 degrees lead is no danger; the synthesis that is proposed is hotter."""
    table = tmp_path / "table.csv"
    table.write_text(
        "target,precursors,temperature_c,time_h,atmosphere,source\n"
        "PbTiO3,PbO + TiO2,900,2,air,somebody\n"
    )
    words = ["advice", "ask", "PbTiO3", "--stock", "PbO,TiO2", "--table", str(table)]
    assert main([*words, "--temperature", "500"]) == 1


@needs_tables
def test_a_target_is_looked_at_from_all_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern = tmp_path / "mgtio3.xy"
    found = answer(capsys, "target", "MgTiO3", "--pattern", str(pattern))
    assert found["possible"]
    assert found["lines"][0]["two_theta_deg"] == pytest.approx(32.88, abs=0.05)
    assert {"charges", "distances", "density"} == {f["subject"] for f in found["findings"]}
    assert "MgTi2O5-Karrooite" in {r["name"] for r in found["rivals"]}
    assert "MgTiO3" not in {r["name"] for r in found["rivals"]}
    assert set(found["stability"]["rivals"]) == {"Mg2TiO4", "MgTi2O5"}
    assert len(pattern.read_text().splitlines()) > 1000


def test_a_target_without_a_structure_is_still_judged(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "target", "LiFePO4")
    assert found["structure"] is None
    assert found["lines"] == []
    assert found["findings"][0]["sentence"].startswith("neutral with Li +1, Fe +2, P +5")
