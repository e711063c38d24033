"""What a Quantos dosing unit can answer: its error codes and the data of its dosing head."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from enum import IntEnum

from matlab_ros.model.faults import DeviceError, Fault, FaultCode


class QuantosCode(IntEnum):
    """Error codes (Quantos Command Set 30348483A, every command's table)."""

    NOT_MOUNTED = 1
    OTHER_JOB = 2
    TIMEOUT = 3
    NOT_SELECTED = 4
    NOT_ALLOWED = 5
    NOT_STABLE = 6
    POWDER_FLOW = 7
    STOPPED = 8
    SAFE_POSITION = 9
    HEAD_NOT_ALLOWED = 10
    HEAD_LIMIT = 11
    HEAD_EXPIRED = 12
    SAMPLER_BLOCKED = 13


_MEANING: dict[QuantosCode, tuple[FaultCode, str]] = {
    QuantosCode.NOT_MOUNTED: (FaultCode.DEVICE_NOT_ACTIVE, "it is not mounted"),
    QuantosCode.OTHER_JOB: (FaultCode.DEVICE_BUSY, "another job is running"),
    QuantosCode.TIMEOUT: (FaultCode.DEADLINE_EXCEEDED, "it timed out inside the dosing unit"),
    QuantosCode.NOT_SELECTED: (FaultCode.DEVICE_NOT_ACTIVE, "it is not selected"),
    QuantosCode.NOT_ALLOWED: (FaultCode.DEVICE_NOT_ACTIVE, "it is not allowed at the moment"),
    QuantosCode.NOT_STABLE: (FaultCode.DISPENSE_UNSTABLE_BALANCE, "the weight is not stable"),
    QuantosCode.POWDER_FLOW: (FaultCode.DISPENSE_POWDER_FLOW, "the powder does not flow"),
    QuantosCode.STOPPED: (FaultCode.CANCELED, "it was stopped"),
    QuantosCode.SAFE_POSITION: (
        FaultCode.DEVICE_NOT_ACTIVE,
        "the dosing unit is not in its safe position",
    ),
    QuantosCode.HEAD_NOT_ALLOWED: (
        FaultCode.DISPENSE_WRONG_SUBSTANCE,
        "this dosing head is not allowed",
    ),
    QuantosCode.HEAD_LIMIT: (
        FaultCode.DISPENSE_HEAD_EMPTY,
        "the dosing head has reached its number of doses",
    ),
    QuantosCode.HEAD_EXPIRED: (
        FaultCode.DISPENSE_WRONG_SUBSTANCE,
        "the substance in the dosing head has expired",
    ),
    QuantosCode.SAMPLER_BLOCKED: (FaultCode.DEVICE_NOT_ACTIVE, "the sampler is blocked"),
}


def quantos_fault(name: str, what: str, code: int, *, powder_may_have_fallen: bool) -> Fault:
    """The fault an error code stands for.

    Args:
        name: of the wire.
        what: the command, in words.
        code: as received.
        powder_may_have_fallen: the command had begun; then repeating it would dose twice, so the
            fault is not retryable and the sample is not what the recipe assumes.
    """
    try:
        fault_code, words = _MEANING[QuantosCode(code)]
    except ValueError:
        fault_code, words = FaultCode.PROTOCOL_ERROR, "for a reason this driver does not know"
    fault = Fault.of(fault_code, f"{name}: {what} failed: {words} (Quantos code {code}).")
    if powder_may_have_fallen:
        fault = replace(fault, retryable=False, sample_compromised=True)
    return fault


@dataclass(frozen=True)
class HeadData:
    """What the chip of the mounted dosing head says, or what is known of the last dose.

    Attributes:
        substance: its name.
        content_mg: of powder when the head was filled; for a dose what was dispensed. NaN where
            it is not given.
        remaining_mg: in the head now, by the device's bookkeeping; NaN where it is not given.
        lot: of the substance.
        head_id: unique number of the dosing head.
        sample_id: that was set for the dose; empty for a head.
        doses: made with this head; -1 where it is not given.
    """

    substance: str
    content_mg: float
    remaining_mg: float
    lot: str
    head_id: str
    sample_id: str
    doses: int


def parse_head_data(text: str, name: str) -> HeadData:
    """Read the XML that answers QRD 2 4 11 (head) or QRD 2 4 12 (last dose).

    Raises:
        DeviceError: PROTOCOL_ERROR, it is not XML or names no substance.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _unreadable(name, "it declares entities")
    # The declared encoding is that of the wire, which is decoded already.
    body = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
    try:
        root = ET.fromstring(body)
    except (ET.ParseError, ValueError) as error:
        raise _unreadable(name, str(error)) from error
    fields = {element.tag: (element.text or "").strip() for element in root.iter()}
    substance = fields.get("Substance", "")
    if not substance:
        raise _unreadable(name, "it names no substance")
    return HeadData(
        substance=substance,
        content_mg=_mass_mg(root, "Content"),
        remaining_mg=_mass_mg(root, "Rem._quantity"),
        lot=fields.get("Lot_ID", ""),
        head_id=fields.get("Head_ID", ""),
        sample_id=fields.get("Sample_ID", ""),
        doses=_count(fields.get("Dosing_counter", "")),
    )


def _mass_mg(root: ET.Element, tag: str) -> float:
    for element in root.iter(tag):
        factor = {"mg": 1.0, "g": 1000.0}.get(element.get("Unit", "mg"))
        text = (element.text or "").strip()
        if factor is not None and re.fullmatch(r"-?\d{1,12}(\.\d{0,9})?", text):
            return float(text) * factor
    return math.nan


def _count(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1


def _unreadable(name: str, problem: str) -> DeviceError:
    return DeviceError(
        Fault.of(FaultCode.PROTOCOL_ERROR, f"{name}: the dosing head's data: {problem}.")
    )
