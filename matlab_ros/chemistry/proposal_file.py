"""Proposals of an adviser as a file that a person reads, and accepts or throws away.

Accepting checks everything again against the stock and the rules as they are then; what the file
says of masses or safety counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import Field

from matlab_ros.chemistry.advice import Advised
from matlab_ros.model.yaml_file import Strict, load_yaml

_HEADING = """\
# Proposed by an adviser and not looked at by anybody yet. Nothing reads this file by itself:
# strike out what you do not want and run
#   matlab-ros advice accept {name} --lab {lab} --by YOUR-NAME --write FILE
"""


class ProposalConfig(Strict):
    """One proposal."""

    substances: tuple[str, ...] = Field(min_length=1)
    """Names in the lab's stock."""
    temperature_c: float
    dwell_h: float | None = None
    because: str = ""
    source: str


class ProposalFile(Strict):
    """Proposals for one target."""

    target: str
    adviser: str
    proposals: tuple[ProposalConfig, ...] = Field(min_length=1)


def write_proposals(path: Path, target: str, adviser: str, advised: Advised, lab: str) -> None:
    """Write what an adviser said, for a person.

    Raises:
        OSError: it cannot be written.
    """
    data = {
        "target": target,
        "adviser": adviser,
        "proposals": [
            {
                "substances": [dose.substance for dose in item.candidate.doses],
                "temperature_c": item.temperature_c,
                "dwell_h": item.dwell_h,
                "because": item.because,
                "source": item.source,
            }
            for item in advised.advice
        ],
    }
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(_HEADING.format(name=path.name, lab=lab) + text, encoding="utf-8")


def load_proposals(path: Path) -> ProposalFile:
    """Read a file of proposals.

    Raises:
        ConfigError: it cannot be read.
    """
    return load_yaml(path, ProposalFile)


def substances_of(proposals: Sequence[ProposalConfig]) -> list[frozenset[str]]:
    """The sets that are proposed, each once, in their order."""
    return list(dict.fromkeys(frozenset(item.substances) for item in proposals))
