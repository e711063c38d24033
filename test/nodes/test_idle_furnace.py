"""An idle furnace is looked at now and then: one answer that stays out is not yet a fault."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.nodes.furnace import IDLE_FAILURES, FurnaceNode

SILENT = Fault.of(FaultCode.DEVICE_UNREACHABLE, "no reply")


class Controller:
    """Answers while it is not mute."""

    mute = False

    def read(self) -> Any:
        if self.mute:
            raise DeviceError(SILENT)
        return SimpleNamespace(measured_c=25.0)


def test_only_silence_that_lasts_is_a_fault() -> None:
    controller, faults = Controller(), []
    node: Any = SimpleNamespace(
        _furnace=controller,
        _idle_failures=0,
        _lost=None,
        busy=False,
        fault=faults.append,
        _publish_temperature=lambda _measured_c: None,
    )
    controller.mute = True
    for _ in range(IDLE_FAILURES - 1):
        FurnaceNode._read_while_idle(node)
    assert faults == []
    FurnaceNode._read_while_idle(node)
    assert faults == [SILENT]
    controller.mute = False
    FurnaceNode._read_while_idle(node)
    assert faults == [SILENT, None]
    controller.mute = True
    FurnaceNode._read_while_idle(node)
    assert faults == [SILENT, None]
