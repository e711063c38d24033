"""What goes wrong in a virtual lab follows from its seed, and instruments log what they did."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from matlab_ros.model.errors import ConfigError
from matlab_ros.virtual.instruments.aeris import AerisDiffractometer, ScanFate
from matlab_ros.virtual.instruments.quantos import DoseFate, DosingHead, QuantosBalance
from matlab_ros.virtual.misfortunes import Misfortune, MisfortuneClock, load_misfortunes
from matlab_ros.virtual.physical_log import PhysicalLog
from matlab_ros.virtual.robot import KinematicRobot, MotionFate

HOUR_S = 3600.0
CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos_kit" / "misfortunes.yaml"


def strikes(seed: int, *moments: float) -> list[tuple[float, Misfortune]]:
    clock = MisfortuneClock({Misfortune.SCAN_LOST: 2.0, Misfortune.ARM_SLOW: 5.0}, seed, 0.0)
    return [item for moment in moments for item in clock.strikes(moment)]


def test_the_same_seed_strikes_at_the_same_times_however_often_it_is_asked() -> None:
    once = strikes(7, 100 * HOUR_S)
    assert once == strikes(7, 10 * HOUR_S, 40 * HOUR_S, 40 * HOUR_S, 100 * HOUR_S)
    assert once != strikes(8, 100 * HOUR_S)
    assert 20 < sum(kind is Misfortune.SCAN_LOST for _, kind in once) < 90


def test_the_benchmark_has_every_kind_of_misfortune() -> None:
    assert set(load_misfortunes(CHAOS)) == set(Misfortune)
    assert load_misfortunes(None) == {}


@pytest.mark.parametrize("text", ["mean_hours: {earthquake: 3}", "mean_hours: {scan_lost: 0}", "3"])
def test_a_file_of_misfortunes_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "misfortunes.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"misfortunes\.yaml"):
        load_misfortunes(file)


def test_a_log_keeps_the_order_over_all_instruments_and_is_gone_on_with(tmp_path: Path) -> None:
    for t in (1.0, 2.0):
        log = PhysicalLog(tmp_path)
        log.write("balance", t, "dose begun", substance="MgO")
        log.teller("robot")(t, "picked", crucible="crucible-01")
        log.close()
    lines = [
        json.loads(line) for file in tmp_path.iterdir() for line in file.read_text().splitlines()
    ]
    assert sorted(line["n"] for line in lines) == [0, 1, 2, 3]
    assert [line["t"] for line in sorted(lines, key=lambda line: line["n"])] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("fate", "share", "ends"),
    [
        (DoseFate.NORMAL, 1.0, True),
        (DoseFate.LIES, 0.5, True),
        (DoseFate.SLOW, 1.0, True),
        (DoseFate.NEVER_ENDS, 1.0, False),
    ],
)
def test_a_dose_has_its_fate_and_powder_is_accounted_for(
    fate: DoseFate, share: float, ends: bool
) -> None:
    fell: list[float] = []
    said: list[bytes] = []
    balance = QuantosBalance(
        {1: DosingHead("MgO", 5000.0)},
        presented=lambda: 1,
        load=lambda: 12_000.0 + sum(fell),
        on_dosed=lambda _, mass_mg: fell.append(mass_mg),
        rng=np.random.default_rng(0),
    )
    balance.connect(said.append)
    balance.advance_to(1.0)
    balance.receive(b"QRA 60 2 4\r\n")
    balance.advance_to(10.0)
    balance.next_dose = fate
    balance.receive(b"QRD 1 1 5 200.00\r\nQRA 61 1\r\n")
    balance.advance_to(1000.0)
    assert any(line.startswith(b"QRA 61 1 A") for line in said) is ends
    if not ends:
        balance.receive(b"QRA 61 4\r\n")
    assert sum(fell) == pytest.approx(200.0 * share, abs=5.0)
    assert balance.next_dose is DoseFate.NORMAL


def test_a_diffractometer_that_hangs_measures_again_after_it_was_restarted(tmp_path: Path) -> None:
    device = AerisDiffractometer(tmp_path, scan=lambda *_: b"x", occupied=lambda _: True)
    device.next_scan = ScanFate.NEVER_ENDS
    device.answer(b"@SAMPLE@ADD@APPLICATION=10-100_2-minutes@SAMPLE_ID=a@AT=0,1@END")
    device.answer(b"@SAMPLE@MEASURE@SAMPLE_ID=a@APPLICATION=10-100_2-minutes@END")
    device.advance_to(1e6)
    assert b"READY=no" in (device.answer(b"@STATUS_REQUEST@UNIT=xrd@END") or b"")
    device.switch_off_and_on()
    device.answer(b"@SAMPLE@MEASURE@SAMPLE_ID=a@APPLICATION=10-100_2-minutes@END")
    device.advance_to(2e6)
    assert (tmp_path / "a.xrdml").exists()


def test_a_base_that_is_stuck_never_arrives_until_it_is_told_anew() -> None:
    robot = KinematicRobot({"rack/1": (0.0, 1.0, 1.0)}, lambda _: True, lambda _: True)
    robot.next_fate = MotionFate.BASE_STUCK
    stuck = robot.start_drive((1.0, 0.0, 0.0), 0.0)
    robot.advance_to(1e4)
    assert not stuck.is_over
    assert robot.next_moment() is None
    again = robot.start_drive((1.0, 0.0, 0.0), 1e4)
    robot.advance_to(2e4)
    assert stuck.is_over
    assert again.is_over
