"""The emulated furnace: physics that holds however one looks at it, and at little cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.virtual.instruments.eurotherm_3216 import Eurotherm3216
from matlab_ros.virtual.instruments.modbus_slave import crc16

HOUR = 3600.0


def write(device: Eurotherm3216, address: int, *values: int) -> None:
    """A write of registers, as it comes from the wire."""
    body = b"\x01\x10" + address.to_bytes(2, "big") + len(values).to_bytes(2, "big")
    body += bytes([2 * len(values)]) + b"".join(value.to_bytes(2, "big") for value in values)
    reply = device.receive(body + crc16(body))
    assert reply[1] == 16, f"refused: {reply!r}"


def read(device: Eurotherm3216, address: int) -> int:
    body = b"\x01\x03" + address.to_bytes(2, "big") + b"\x00\x01"
    reply = device.receive(body + crc16(body))
    assert reply[1] == 3
    return int.from_bytes(reply[3:5], "big")


def heat(device: Eurotherm3216, *segments: tuple[float, float, int]) -> None:
    """Run (target, ramp per minute, dwell minutes), then reset."""
    words: list[int] = []
    for target, ramp, dwell in segments:
        words += (dwell, round(target * 10), round(ramp * 10))
    write(device, 328, 3)
    write(device, 1280, *words)
    write(device, 23, 1)


def furnace(**options) -> Eurotherm3216:
    return Eurotherm3216(np.random.default_rng(3), **options)


def test_measured_follows_the_program_with_little_overshoot() -> None:
    device = furnace()
    heat(device, (1000, 10, 240))
    device.advance_to(12 * HOUR)
    times, temperature = device.true_trace(0, 12 * HOUR)
    dwell = (times > 975 / 10 * 60) & (times < 975 / 10 * 60 + 240 * 60)
    assert 1000 < temperature.max() < 1005
    assert np.abs(temperature[dwell] - 1000).max() < 6
    ramp = (times > 1200) & (times < 5400)
    assert np.abs(temperature[ramp] - (25 + times[ramp] / 6)).max() < 15


def test_a_ramp_beyond_the_heater_is_not_followed() -> None:
    device = furnace()
    heat(device, (1200, 50, 240))
    device.advance_to(1175 / 50 * 60)
    assert read(device, 5) == pytest.approx(12000, abs=1)
    assert device.crucible_c < 1000
    device.advance_to(2 * HOUR)
    assert device.crucible_c == pytest.approx(1200, abs=5)


def test_offset_is_between_what_is_measured_and_what_is_real() -> None:
    device = furnace(offset_c=-80.0, noise_c=0.0)
    assert device.crucible_c == 25
    heat(device, (900, 10, 240))
    device.advance_to(4 * HOUR)
    assert read(device, 1) / 10 == pytest.approx(900, abs=1)
    assert device.crucible_c == pytest.approx(820, abs=1)
    _, temperature = device.true_trace(0, 4 * HOUR)
    assert temperature.max() == pytest.approx(823, abs=2)
    assert temperature.min() >= 20


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 8 * HOUR), max_size=30))
def test_result_does_not_depend_on_how_time_is_sliced(moments: list[float]) -> None:
    sliced, whole = furnace(), furnace()
    for device in (sliced, whole):
        heat(device, (700, 8, 60), (500, 5, 0))
    for moment in sorted(moments):
        sliced.advance_to(moment)
        read(sliced, 1)
    for device in (sliced, whole):
        device.advance_to(8 * HOUR)
        write(device, 23, 0)
        device.advance_to(30 * HOUR)
    one, other = sliced.true_trace(0, 30 * HOUR), whole.true_trace(0, 30 * HOUR)
    grid = np.linspace(0, 30 * HOUR, 500)
    np.testing.assert_allclose(np.interp(grid, *one), np.interp(grid, *other), atol=0.1)
    assert read(sliced, 1) == read(whole, 1)


def test_looking_often_changes_no_reading() -> None:
    often, seldom = furnace(), furnace()
    for _ in range(50):
        read(often, 1)
    often.advance_to(100)
    seldom.advance_to(100)
    assert read(often, 1) == read(seldom, 1)


def test_thermocouple_is_noisy_and_seeded() -> None:
    def readings(seed: int) -> list[int]:
        device = Eurotherm3216(np.random.default_rng(seed), noise_c=0.5)
        values = []
        for k in range(1, 400):
            device.advance_to(10.0 * k)
            values.append(read(device, 1))
        return values

    assert readings(1) == readings(1)
    assert readings(1) != readings(2)
    assert np.std(readings(1)) / 10 == pytest.approx(0.5, rel=0.15)


def test_moments_are_the_programs_corners_then_cold() -> None:
    device = furnace()
    assert device.next_moment() is None
    device.advance_to(1000)
    heat(device, (625, 10, 60), (925, 5, 0))
    moments = []
    while (moment := device.next_moment()) is not None:
        assert moment > (moments[-1] if moments else 1000)
        moments.append(moment)
        device.advance_to(moment)
        assert len(moments) < 10
    assert moments[:3] == pytest.approx([1000 + 3600, 1000 + 7200, 1000 + 10800])
    assert device.crucible_c < 100
    device.advance_to(moments[-1] - 10)
    assert read(device, 23) == 0
    _, temperature = device.true_trace(moments[-1] - 20, moments[-1])
    assert temperature[0] > 100 >= temperature[-1]


def test_a_broken_element_cannot_hold_the_temperature() -> None:
    device = furnace()
    heat(device, (1100, 10, 600))
    device.advance_to(4 * HOUR)
    device.heater_share = 0.25
    device.advance_to(10 * HOUR)
    assert device.crucible_c < 900


def test_sensor_break_turns_the_heater_off() -> None:
    device = furnace()
    heat(device, (900, 10, 600))
    device.advance_to(2 * HOUR)
    device.sensor_break = True
    device.advance_to(2 * HOUR + 600)
    assert read(device, 4) == 0
    assert read(device, 258) == 1
    assert device.crucible_c < 850


def test_years_of_waiting_cost_no_steps() -> None:
    device = furnace()
    device.advance_to(1.7e9)
    heat(device, (1000, 10, 600))
    device.advance_to(1.7e9 + 12 * HOUR)
    device.advance_to(3.4e9)
    assert 8000 < len(device.true_trace(0, 3.4e9)[0]) < 40_000


@given(st.floats(0, 20000), st.floats(0, 20000))
@settings(max_examples=30, deadline=None)
def test_a_trace_has_both_its_ends(a: float, b: float) -> None:
    device = furnace()
    heat(device, (300, 10, 60))
    device.advance_to(20000)
    times, temperature = device.true_trace(min(a, b), max(a, b))
    assert times[0] == min(a, b)
    assert times[-1] == max(a, b)
    assert len(times) == len(temperature)
    assert np.all(np.diff(times) > 0)
    assert np.all((temperature > 20) & (temperature < 310))
