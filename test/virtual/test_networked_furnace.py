"""A furnace of the virtual lab whose controller is in a network is a line in the lab's file."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from matlab_ros.instruments.heat_program import HeatSegment
from matlab_ros.instruments.plugs import plug_of
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import LabConfig, load_lab
from matlab_ros.virtual.bench import VirtualBench

CONFIG = Path(__file__).parents[2] / "config"


def _bench(lab: LabConfig, folder: Path) -> VirtualBench:
    return VirtualBench(
        lab,
        CONFIG / "chemistry",
        CONFIG / "structures",
        folder / "wires",
        folder / "share",
        0,
        0,
        {},
        1,
    )


def test_a_virtual_lab_has_a_networked_controller_by_a_line(tmp_path: Path) -> None:
    content = yaml.safe_load((CONFIG / "labs" / "virtual_lab.yaml").read_text())
    device = next(item for item in content["devices"] if item["name"] == "furnace_1")
    port = _free_port()
    device |= {"driver": "epc3016", "ports": {"controller": f"tcp://127.0.0.1:{port}"}}
    file = tmp_path / "lab.yaml"
    file.write_text(yaml.safe_dump(content))
    lab = load_lab(file)
    bench = _bench(lab, tmp_path)
    try:
        furnace = plug_of(lab.device("furnace_1"), "controller").open(
            lab.device("furnace_1").furnace, deadline_s=5.0
        )
        furnace.write_program([HeatSegment(600, 10, 60)])
        furnace.start()
        bench.advance_to(bench.now_s + 3600.0)
        assert bench.furnaces["furnace_1"].crucible_c == pytest.approx(600, abs=30)
        furnace.close()
        assert "furnace_1" not in bench.wires
    finally:
        bench.close()


def test_a_networked_controller_without_an_address_is_a_clear_sentence(tmp_path: Path) -> None:
    lab = load_lab(CONFIG / "labs" / "virtual_lab.yaml")
    devices = [
        device.model_copy(update={"driver": "epc3016"}) if device.furnace is not None else device
        for device in lab.devices
    ]
    with pytest.raises(ConfigError, match=r"ports\.controller"):
        _bench(lab.model_copy(update={"devices": tuple(devices)}), tmp_path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
