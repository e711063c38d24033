"""The figures of a campaign in a journal, with what its lab's file says about supplies."""

from __future__ import annotations

from collections.abc import Iterable

from matlab_ros.lab.journal import JournalEntry
from matlab_ros.lab.metrics import CampaignMetrics
from matlab_ros.lab.metrics_values import LabMetrics
from matlab_ros.model.lab_config import LabConfig, load_lab
from matlab_ros.share import config_file


def figures(entries: Iterable[JournalEntry], campaign: str | None = None) -> LabMetrics:
    """The figures of a campaign.

    Args:
        entries: of its journal, from the beginning.
        campaign: its name; None: the last one.

    Raises:
        LabError: the journal holds no such campaign, or its lab's file cannot be read.
    """
    counted = CampaignMetrics(campaign)
    for entry in entries:
        counted.take(entry)
    return counted.metrics(None if counted.plan is None else lab_of(counted.plan.config.lab))


def lab_of(name: str) -> LabConfig | None:
    """A lab by its name; None where its file is not on this machine."""
    file = config_file("labs", name)
    return load_lab(file) if file.is_file() else None
