"""What the doctor makes of the devices it hears in a lab's graph: who, their clocks, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from matlab_ros import __version__
from matlab_ros.doctor_command import Finding
from matlab_ros.model.lab_config import LabConfig

SKEW_NOTE_S, SKEW_PROBLEM_S = 0.5, 5.0
"""Between two machines' clocks: leases and traces get blurred, and then wrong."""


@dataclass(frozen=True)
class Heard:
    """One device, as it was heard.

    Attributes:
        behind_s: the clock here less the one there, as the fastest of its words had it.
        version: of its software.
        fault: that it has; empty: none.
    """

    behind_s: float
    version: str
    fault: str = ""


def check_graph(lab: LabConfig, heard: Mapping[str, Heard]) -> Iterator[Finding]:
    """What is to be said of the devices of a lab that is up.

    Args:
        lab: whose devices they are.
        heard: by the device's name; who is missing was not heard.
    """
    for device in lab.devices:
        subject = f"{device.name}'s node"
        found = heard.get(device.name)
        if found is None:
            yield Finding(
                "problem",
                subject,
                "it is not to be heard in this graph",
                "start it; where it runs on another machine: pocket-ros doctor on both",
            )
            continue
        if found.version != __version__:
            yield Finding(
                "problem",
                subject,
                f"it is matlab_ros {found.version}, and this is {__version__}",
                "install the same version on all machines",
            )
        if found.fault:
            yield Finding("problem", subject, found.fault, f"look at {device.name}")
        # In a simulated lab all stamps are /clock's.
        skew_s = 0.0 if lab.simulated else abs(found.behind_s)
        if skew_s > SKEW_NOTE_S:
            word = "behind" if found.behind_s > 0 else "ahead"
            yield Finding(
                "problem" if skew_s > SKEW_PROBLEM_S else "note",
                subject,
                f"its machine's clock is {skew_s:.1f} s {word} of this one's",
                "synchronise both: sudo timedatectl set-ntp true",
            )
        elif not found.fault and found.version == __version__:
            yield Finding("fine", subject, f"heard, matlab_ros {found.version}")
