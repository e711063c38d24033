"""A line that damages one byte in a hundred: right values or typed faults, within the deadline."""

from __future__ import annotations

import numpy as np

from matlab_ros.instruments.modbus import ModbusMaster
from matlab_ros.instruments.quantos import QuantosBalance
from matlab_ros.instruments.quantos_line import Job, JobState
from matlab_ros.model.faults import DeviceError
from matlab_ros.virtual.instruments.modbus_slave import ModbusSlave
from matlab_ros.virtual.instruments.quantos import DosingHead
from matlab_ros.virtual.instruments.quantos import QuantosBalance as Balance


class Damaged:
    """A device behind a line that flips a bit in some bytes, both ways."""

    def __init__(self, device, rng: np.random.Generator, share: float) -> None:
        self._device = device
        self._rng = rng
        self._share = share

    def advance_to(self, t: float) -> None:
        self._device.advance_to(t)

    def next_moment(self) -> float | None:
        return self._device.next_moment()

    def connect(self, send) -> None:
        self._device.connect(lambda data: send(self._spoil(data)))

    def receive(self, data: bytes) -> bytes:
        return self._spoil(self._device.receive(self._spoil(data)))

    def _spoil(self, data: bytes) -> bytes:
        bad = bytearray(data)
        for index in np.flatnonzero(self._rng.random(len(bad)) < self._share):
            bad[index] ^= 1 << int(self._rng.integers(8))
        return bytes(bad)


class Registers:
    """Each register holds what its address says."""

    def __init__(self) -> None:
        self._slave = ModbusSlave(1, lambda address: address * 7 % 65536, lambda *_: None)

    def advance_to(self, t: float) -> None: ...

    def next_moment(self) -> float | None: ...

    def connect(self, send) -> None: ...

    def receive(self, data: bytes) -> bytes:
        return self._slave.receive(data)


def test_no_wrong_register_is_accepted(plug, transport_to) -> None:
    device = Damaged(Registers(), np.random.default_rng(11), 0.01)
    url = f"serial://{plug(device).url}?silence_ms=0"
    master = ModbusMaster(transport_to(url), deadline_s=0.03, tries=3)
    faults = 0
    for address in range(1, 301):
        try:
            assert master.read(address, 5) == tuple((address + k) * 7 for k in range(5))
        except DeviceError:
            faults += 1
    assert faults < 30


def test_no_dose_is_given_twice(plug, transport_to) -> None:
    powder: list[float] = []
    balance = Balance(
        {1: DosingHead("MgO", 1e9)},
        presented=lambda: 1,
        load=lambda: 8000.0,
        on_dosed=lambda substance, mass_mg: powder.append(mass_mg),
        rng=np.random.default_rng(0),
    )
    balance.receive(b"QRA 60 2 4\r\nQRD 1 1 5 20.00\r\n")
    balance.advance_to(10.0)
    assert balance.receive(b"QRD 1 1 5 20.00\r\n") == b"QRD 1 1 5 A\r\n"
    device = Damaged(balance, np.random.default_rng(12), 0.01)
    driver = QuantosBalance(transport_to(plug(device).url), deadline_s=0.03)
    begun = 0
    for _ in range(150):
        before = len(powder)
        may_be_repeated = False
        try:
            driver.start_dosing()
        except DeviceError as error:
            may_be_repeated = error.fault.retryable
        while (moment := balance.next_moment()) is not None:
            balance.advance_to(moment)
        given = len(powder) - before
        assert given <= (0 if may_be_repeated else 1)
        begun += given
        while driver.poll(Job.DOSE).state in (JobState.RUNNING, JobState.UNKNOWN):
            try:
                driver.stop_dosing()
            except DeviceError:
                continue
    assert begun > 120
