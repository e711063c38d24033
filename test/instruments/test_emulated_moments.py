"""Emulators in virtual time: every announced moment, however it was rounded, brings its change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from matlab_ros.instruments.dh_rail import HeadMagazine, LinearRail
from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.instruments.quantos import DoseRequest, QuantosBalance
from matlab_ros.instruments.quantos_line import Job, JobState
from matlab_ros.virtual.instruments.aeris import AerisDiffractometer
from matlab_ros.virtual.instruments.dh_rail import DhRail
from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.virtual.instruments.modbus_slave import crc16
from matlab_ros.virtual.instruments.quantos import DosingHead
from matlab_ros.virtual.instruments.quantos import QuantosBalance as Balance

EPOCH_S = 1.8e9 + 0.1


def as_ros_time(moment: float) -> float:
    """Seconds through whole nanoseconds and back, rounded down."""
    return int(moment * 1e9) / 1e9


def modbus(body: bytes) -> bytes:
    return body + crc16(body)


def heating() -> Eurotherm3216:
    device = Eurotherm3216(np.random.default_rng(0))
    device.advance_to(EPOCH_S)
    words = [17, 5333, 97, 3, 6111, 31, 0, 1003, 100]
    for address, values in ((328, [3]), (1280, words), (23, [1])):
        body = b"\x01\x10" + address.to_bytes(2, "big") + len(values).to_bytes(2, "big")
        body += bytes([2 * len(values)]) + b"".join(v.to_bytes(2, "big") for v in values)
        assert device.receive(modbus(body))[1] == 16
    return device


def moving() -> DhRail:
    device = DhRail(travel_mm=500, start_mm=123.0)
    device.advance_to(EPOCH_S)
    assert device.receive(modbus(b"\x01\x06\x16\x05\x00\x22"))[1] == 6
    return device


def measuring(tmp_path) -> AerisDiffractometer:
    device = AerisDiffractometer(tmp_path, scan=lambda *_: b"x", occupied=lambda slot: True)
    device.advance_to(EPOCH_S)
    add = b"@SAMPLE@ADD@APPLICATION=10-100_8-minutes@SAMPLE_ID=s@AT=0,2@END"
    assert b"fatal" not in device.answer(add)
    assert b"fatal" not in device.answer(
        b"@SAMPLE@MEASURE@SAMPLE_ID=s@APPLICATION=10-100_8-minutes@END"
    )
    return device


def dosing() -> Balance:
    device = Balance(
        {1: DosingHead("MgO", 1000.0)},
        presented=lambda: 1,
        load=lambda: 8000.0,
        on_dosed=lambda substance, mass_mg: None,
        rng=np.random.default_rng(0),
    )
    device.advance_to(EPOCH_S)
    device.receive(b"QRA 60 2 4\r\n")
    device.advance_to(EPOCH_S + 10)
    assert device.receive(b"QRD 1 1 5 77.70\r\nQRA 61 1\r\n") == b"QRD 1 1 5 A\r\nQRA 61 1 B\r\n"
    return device


@pytest.mark.parametrize("kind", ["heating", "moving", "measuring", "dosing"])
@pytest.mark.parametrize("rounded", [as_ros_time, float], ids=["down", "exact"])
def test_moments_come_to_an_end(kind: str, rounded: Callable[[float], float], tmp_path) -> None:
    device = {
        "heating": heating,
        "moving": moving,
        "measuring": lambda: measuring(tmp_path),
        "dosing": dosing,
    }[kind]()
    moments: list[float] = []
    while (moment := device.next_moment()) is not None:
        moments.append(moment)
        device.advance_to(rounded(moment))
        assert len(moments) < 12, f"stuck at {moments[-3:]}"
    assert moments == sorted(moments)
    assert len(set(moments)) == len(moments)


def test_magazine_and_dosing_unit_change_heads_together(plug, transport_to) -> None:
    rail = DhRail(travel_mm=300.0, blocked=lambda: balance.head_locked)
    powder: list[tuple[str, float]] = []
    balance = Balance(
        {slot: DosingHead(f"powder {slot}", 1000.0) for slot in (1, 2, 3)},
        presented=lambda: rail.slot_at_unit(pitch_mm=50.0, slots=3),
        load=lambda: 8000.0 + sum(mass for _, mass in powder),
        on_dosed=lambda substance, mass_mg: powder.append((substance, mass_mg)),
        rng=np.random.default_rng(0),
    )
    driver = QuantosBalance(transport_to(plug(balance, "balance").url), deadline_s=5.0)
    master = ModbusMaster(transport_to(plug(rail, "rail").url), deadline_s=5.0)
    magazine = HeadMagazine(LinearRail(master, travel_mm=300.0), pitch_mm=50.0, slots=3)

    def finish() -> None:
        while moments := [m for d in (balance, rail) if (m := d.next_moment()) is not None]:
            for device in (balance, rail):
                device.advance_to(min(moments))

    magazine.rail.home()
    finish()
    for slot in (3, 1, 2):
        driver.unlock_head()
        finish()
        magazine.bring(slot)
        finish()
        assert magazine.has_brought(slot)
        driver.lock_head()
        finish()
        assert driver.poll(Job.HEAD_PIN).state is JobState.DONE
        assert driver.head_data().substance == f"powder {slot}"
        driver.prepare_dose(DoseRequest(20.0, 0.5, "s1"))
        driver.start_dosing()
        finish()
        assert driver.poll().state is JobState.DONE
    assert [substance for substance, _ in powder] == ["powder 3", "powder 1", "powder 2"]
    magazine.bring(1)
    assert magazine.rail.read_status().alarm, "a locked head holds the magazine"
