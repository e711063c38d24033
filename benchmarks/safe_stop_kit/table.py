"""The table of delays from a stop to the safe command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

AIM_MS = 100.0


@dataclass(frozen=True)
class Row:
    """Delays of one device and one kind of stop.

    Attributes:
        device: name of the rig.
        kind: "cancel" or "emergency stop".
        command: what counts as the safe command.
        delays_s: of each repetition.
    """

    device: str
    kind: str
    command: str
    delays_s: Sequence[float]

    @property
    def holds(self) -> bool:
        """Whether the 99th percentile is below the aim."""
        return self._ms(99) < AIM_MS

    def _ms(self, percent: float) -> float:
        return 1e3 * float(np.percentile(np.array(self.delays_s), percent))

    def line(self) -> str:
        """The row as Markdown."""
        figures = " | ".join(f"{self._ms(percent):.1f}" for percent in (50, 90, 99, 100))
        return (
            f"| {self.device} | {self.kind} | {self.command} | {len(self.delays_s)} | {figures} |"
        )


def report(rows: Sequence[Row], machine: str) -> str:
    """The whole page."""
    verdict = "all below" if all(row.holds for row in rows) else "NOT all below"
    lines = [
        "# From a stop to the safe command on the wire",
        "",
        f"`python benchmarks/safe_stop.py`, p99 is to be below {AIM_MS:g} ms: {verdict}.",
        f"{machine}.",
        "",
        "| device | stop | safe command | repetitions | p50 (ms) | p90 | p99 | longest |",
        "|---|---|---|---:|---:|---:|---:|---:|",
        *(row.line() for row in rows),
        "",
        "The diffractometer knows no command that ends a scan: what is measured is the first",
        "question whether it is idle, after which no order is given.",
    ]
    return "\n".join(lines) + "\n"
