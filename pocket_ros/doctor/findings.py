"""What the doctor found: sentences, and how bad each is."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class Level(Enum):
    """How bad a finding is."""

    FINE = "fine"
    NOTE = "note"
    """Worth knowing when something is missing."""
    PROBLEM = "problem"
    """Keeps machines or nodes from seeing each other."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` says what to do, where there is something."""

    level: Level
    subject: str
    sentence: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        return {**asdict(self), "level": self.level.value}


@dataclass
class Report:
    """All findings, in the order in which things were looked at."""

    findings: list[Finding] = field(default_factory=list)

    def fine(self, subject: str, sentence: str) -> None:
        """Add that something is as it should be."""
        self.findings.append(Finding(Level.FINE, subject, sentence))

    def note(self, subject: str, sentence: str, advice: str = "") -> None:
        """Add something worth knowing."""
        self.findings.append(Finding(Level.NOTE, subject, sentence, advice))

    def problem(self, subject: str, sentence: str, advice: str = "") -> None:
        """Add something that keeps machines or nodes from seeing each other."""
        self.findings.append(Finding(Level.PROBLEM, subject, sentence, advice))

    @property
    def problems(self) -> int:
        """How many problems there are."""
        return sum(finding.level is Level.PROBLEM for finding in self.findings)
