"""The planetary mixer: ramps, refusals, and digits that nobody protects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.instruments.mixing import MixerState
from matlab_ros.instruments.speedmixer import SpeedMixer, build_command, parse_answer
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.speedmixer import HOME_S
from matlab_ros.virtual.instruments.speedmixer import SpeedMixer as Emulated


@pytest.fixture
def mixed() -> list[tuple[float, int]]:
    return []


@pytest.fixture
def device(mixed) -> Emulated:
    return Emulated(lambda minutes, rpm: mixed.append((minutes, rpm)))


@pytest.fixture
def terminal(plug, device):
    return plug(device)


@pytest.fixture
def mixer(terminal, transport_to) -> SpeedMixer:
    return SpeedMixer(transport_to(terminal.url), speed_rpm=1500, ramp_s=20)


def fault_of(call, *arguments) -> FaultCode:
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault.code


def test_frames_are_as_published() -> None:
    assert build_command(0x21, 16, 1500) == b"\x04\x21\x021601500\x03\x05"
    answer = parse_answer(b"\x021600001500\x03")
    assert answer is not None
    assert (answer.code, answer.value) == (16, 1500)


def test_it_mixes_at_its_speed_and_slows_down(mixer, device, mixed) -> None:
    assert fault_of(mixer.start) is FaultCode.DEVICE_NOT_ACTIVE
    mixer.home()
    assert fault_of(mixer.start) is FaultCode.DEVICE_BUSY
    device.advance_to(HOME_S)
    mixer.start()
    assert mixer.read_state() is MixerState.RUNNING
    device.advance_to(HOME_S + 100.0)
    mixer.stop()
    mixer.stop()
    assert mixer.read_state() is MixerState.RUNNING
    assert device.next_moment() == HOME_S + 120.0
    device.advance_to(HOME_S + 120.0)
    assert mixer.read_state() is MixerState.STOPPED
    assert mixed == [(2.0, 1500)]


def test_an_error_stands_until_somebody_clears_it(mixer, device) -> None:
    mixer.home()
    device.advance_to(HOME_S)
    mixer.start()
    device.fail(7)
    with pytest.raises(DeviceError, match="error 7"):
        mixer.read_state()
    assert fault_of(mixer.home) is FaultCode.DEVICE_NOT_ACTIVE
    mixer.clear_error()
    mixer.home()


def test_one_damaged_digit_is_not_believed(mixer, device, terminal) -> None:
    device.fail(12)
    terminal.faults.corrupt_replies = 1
    assert mixer.read_status().error == 12


@given(st.binary(max_size=60))
def test_random_bytes_are_an_answer_or_none(heard: bytes) -> None:
    answer = parse_answer(heard)
    assert answer is None or (0 <= answer.code <= 99 and answer.value >= 0)
