"""The doctor finds what is wrong with a lab's wires, and says what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml

from matlab_ros import __version__, cli
from matlab_ros.doctor_command import check_calibrations, examine
from matlab_ros.doctor_graph import Heard, check_graph
from matlab_ros.instruments.wire_check import ConfiguredWire, check_wires, wires_of
from matlab_ros.model.lab_config import LabConfig, load_lab
from matlab_ros.virtual.instruments.dh_rail import DhRail
from matlab_ros.virtual.instruments.door import FurnaceDoors
from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.virtual.instruments.quantos import QuantosBalance
from matlab_ros.virtual.instruments.wire import LoopbackServer, PseudoTerminal

LAB_FILE = Path(__file__).parents[2] / "config" / "labs" / "virtual_lab.yaml"
REPLY_S = 0.5

WriteLab = Callable[..., Path]


@pytest.fixture
def instruments(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Addresses of emulated instruments."""
    wires = {
        "furnace": Eurotherm3216(np.random.default_rng(1)),
        "magazine": DhRail(travel_mm=420.0),
        "balance": QuantosBalance(
            {},
            presented=lambda: None,
            load=lambda: None,
            on_dosed=lambda name, mg: None,
            rng=np.random.default_rng(1),
        ),
    }
    lines = {name: PseudoTerminal(tmp_path / name, device) for name, device in wires.items()}
    doors = LoopbackServer(FurnaceDoors().answer)
    yield {**{name: line.url for name, line in lines.items()}, "doors": doors.url}
    for line in lines.values():
        line.close()
    doors.close()


@pytest.fixture
def lab_of(tmp_path: Path) -> WriteLab:
    """Writes a lab's file with ports of furnace_1 and the dispenser."""

    def write(furnace: dict[str, str], dispenser: dict[str, str]) -> Path:
        content = yaml.safe_load(LAB_FILE.read_text())
        for device in content["devices"]:
            ports = {"furnace_1": furnace, "dispenser": dispenser}.get(device["name"])
            if ports is not None:
                device["ports"] = ports
        path = tmp_path / "lab.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def _found(path: Path) -> dict[str, tuple[str, str]]:
    findings = check_wires(wires_of(load_lab(path)), deadline_s=REPLY_S)
    return {found.wire.title: (found.sentence, found.advice) for found in findings}


def test_instruments_that_are_where_they_should_be_are_fine(
    instruments: dict[str, str], lab_of: WriteLab
) -> None:
    found = _found(
        lab_of(
            {"controller": instruments["furnace"]},
            {"balance": instruments["balance"], "magazine": instruments["magazine"]},
        )
    )
    assert len(found) == 3
    for sentence, advice in found.values():
        assert "answers at" in sentence
        assert advice == ""


def test_swapped_cables_are_named(instruments: dict[str, str], lab_of: WriteLab) -> None:
    found = _found(
        lab_of(
            {"controller": instruments["balance"]},
            {"balance": instruments["furnace"], "magazine": instruments["magazine"]},
        )
    )
    sentence, advice = found["furnace_1's controller"]
    assert "quantos answers; expected eurotherm_3216" in sentence
    assert "furnace_1's controller and dispenser's balance are swapped" in advice
    sentence, advice = found["dispenser's balance"]
    assert "eurotherm_3216 answers; expected quantos" in sentence
    assert found["dispenser's magazine"][1] == ""


def test_a_port_that_is_not_there_and_one_that_is_silent(
    instruments: dict[str, str], lab_of: WriteLab, tmp_path: Path
) -> None:
    found = _found(
        lab_of(
            {"controller": str(tmp_path / "nothing")},
            {"mixer": "tcp://127.0.0.1:1", "balance": instruments["balance"]},
        )
    )
    assert "does not exist" in found["furnace_1's controller"][0]
    assert "plug the cable in" in found["furnace_1's controller"][1]
    assert "no crucible_shaker answers" in found["dispenser's mixer"][0]
    assert "switched on" in found["dispenser's mixer"][1]


def test_who_holds_a_port_is_named(instruments: dict[str, str], lab_of: WriteLab) -> None:
    code = (
        f"open({instruments['furnace']!r}, 'rb', buffering=0); print('open', flush=True); input()"
    )
    code = f"file = {code}"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        sentence, advice = _found(lab_of({"controller": instruments["furnace"]}, {}))[
            "furnace_1's controller"
        ]
        assert f"(process {holder.pid})" in sentence
        assert "end that program" in advice
    finally:
        holder.communicate(b"\n", timeout=30)


def test_a_bare_address_is_tcp_at_the_usual_port(lab_of: WriteLab) -> None:
    (wire,) = wires_of(load_lab(lab_of({}, {"mixer": "192.168.1.9"})))
    assert isinstance(wire, ConfiguredWire)
    assert wire.address == "tcp://192.168.1.9:80"


def test_certificates_that_ended_or_are_missing_are_told() -> None:
    lab = load_lab(LAB_FILE)

    def told(changed: LabConfig, today: date) -> dict[str, str]:
        return {found.subject: found.level for found in check_calibrations(changed, today)}

    assert set(told(lab, date(2026, 11, 1)).values()) == {"fine"}
    assert set(told(lab, date(2099, 12, 15)).values()) == {"note"}
    assert set(told(lab, date(2100, 1, 1)).values()) == {"problem"}
    devices = tuple(d.model_copy(update={"calibration": None}) for d in lab.devices)
    bare = lab.model_copy(update={"devices": devices})
    assert set(told(bare, date(2026, 11, 1)).values()) == {"note"}


def test_the_command_ends_with_1_where_there_is_a_problem(
    instruments: dict[str, str],
    lab_of: WriteLab,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = lab_of({"controller": str(tmp_path / "nothing")}, {})
    assert cli.main(["doctor", str(path), "--folder", str(tmp_path), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    subjects = [found["subject"] for found in printed["findings"] if found["level"] == "problem"]
    assert "furnace_1's controller" in subjects
    assert cli.main(["doctor", str(tmp_path / "no.yaml")]) == cli.BAD_INPUT


def _said(lab: LabConfig, heard: dict[str, Heard]) -> dict[str, tuple[str, str]]:
    return {each.subject: (each.level, each.sentence) for each in check_graph(lab, heard)}


def test_clocks_versions_and_faults_of_a_lab_that_is_up_are_told() -> None:
    lab = load_lab(LAB_FILE).model_copy(update={"simulated": False})
    heard = {
        "dispenser": Heard(0.01, __version__),
        "arm": Heard(-1.5, __version__),
        "furnace_1": Heard(40.0, __version__),
        "furnace_2": Heard(0.0, "0.0.1"),
        "characterisation": Heard(0.0, __version__, "its port is gone"),
    }
    said = _said(lab, heard)
    assert said["dispenser's node"][0] == "fine"
    assert said["arm's node"] == ("note", "its machine's clock is 1.5 s ahead of this one's")
    assert said["furnace_1's node"][0] == "problem"
    assert "40.0 s behind" in said["furnace_1's node"][1]
    assert "0.0.1" in said["furnace_2's node"][1]
    assert said["characterisation's node"] == ("problem", "its port is gone")
    assert "not to be heard" in _said(lab, {})["arm's node"][1]


def test_a_simulated_lab_s_clock_is_nobody_s() -> None:
    heard = {device.name: Heard(1e9, __version__) for device in load_lab(LAB_FILE).devices}
    assert {level for level, _ in _said(load_lab(LAB_FILE), heard).values()} == {"fine"}


def test_a_folder_that_cannot_be_written_to_is_told(
    lab_of: WriteLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matlab_ros.doctor_command.os.access", lambda path, mode: False)
    found = list(examine(load_lab(lab_of({}, {})), tmp_path, 0.1))
    assert [each.level for each in found if each.subject == "rights"] == ["problem"]
