"""A pattern counts as a sample's only where that sample was seen to leave its slot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from matlab_ros.instruments.aeris import Aeris
from matlab_ros.instruments.transport import open_transport
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.nodes.characterisation import CharacterisationNode
from matlab_ros.virtual.instruments.aeris import AerisDiffractometer
from matlab_ros.virtual.instruments.wire import LoopbackServer

PROGRAM = "10-100_8-minutes"
SLOT, NEIGHBOUR = 2, 3
POSITION = f"diffractometer/{SLOT}"


class Station:
    """A diffractometer with two samples, its driver, and time that passes while somebody waits."""

    def __init__(self, share: Path) -> None:
        self.device = AerisDiffractometer(
            share, scan=lambda *_: b"</xrdMeasurements>", occupied={SLOT, NEIGHBOUR}.__contains__
        )
        self.server = LoopbackServer(self.device.answer)
        self.aeris = Aeris(open_transport(self.server.url), share, deadline_s=5.0)
        self.now_ns = 0
        self.time = SimpleNamespace(now_ns=lambda: self.now_ns)
        self.node: Any = SimpleNamespace(
            time=self.time, device=SimpleNamespace(name="characterisation")
        )

    def measure(self, slot: int) -> None:
        """Have the sample of a slot measured, under the name of the sample at `SLOT`."""
        self.aeris.add_sample("s", slot, PROGRAM)
        self.aeris.start_measurement("s", PROGRAM)

    def wait(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)
        self.device.advance_to(self.now_ns * 1e-9)

    def see_it_fetched(self, *, resumed: bool = False) -> None:
        attempt: Any = SimpleNamespace(resumed=resumed, wait=self.wait)
        CharacterisationNode._see_it_fetched(self.node, attempt, self.aeris, SLOT, POSITION)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path / "share")
    yield made
    made.server.close()


def code_of(error: pytest.ExceptionInfo[DeviceError]) -> FaultCode:
    return error.value.fault.code


def test_the_sample_that_left_its_slot_is_the_one_that_is_measured(station: Station) -> None:
    station.measure(SLOT)
    station.see_it_fetched()
    assert station.now_ns < 60e9


def test_a_sample_that_stays_in_its_slot_is_not_the_one_that_is_measured(station: Station) -> None:
    station.measure(NEIGHBOUR)
    with pytest.raises(DeviceError, match=POSITION) as caught:
        station.see_it_fetched()
    assert code_of(caught) is FaultCode.MEASURE_DEVICE_FAILED


def test_a_diffractometer_that_is_silent_meanwhile_is_asked_again(station: Station) -> None:
    station.measure(SLOT)
    station.server.faults.drop_replies = 2
    station.see_it_fetched()


def test_a_measurement_that_was_over_before_anybody_looked_does_not_count(station: Station) -> None:
    station.measure(SLOT)
    station.wait(3600.0)
    with pytest.raises(DeviceError) as caught:
        station.see_it_fetched(resumed=True)
    assert code_of(caught) is FaultCode.INTERRUPTED


def test_the_next_process_sees_it_while_it_is_measured(station: Station) -> None:
    station.measure(SLOT)
    station.wait(100.0)
    station.see_it_fetched(resumed=True)
