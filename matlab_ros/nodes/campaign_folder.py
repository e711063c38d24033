"""The folder of one campaign: journal, raw files, log and report; an older one is moved aside."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from matlab_ros.lab.journal import JournalReader
from matlab_ros.lab.journal_database import without_password
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import LabConfig, load_lab
from matlab_ros.model.yaml_file import mapping_in, read_text
from matlab_ros.nodes.campaign_metrics import lab_of

if TYPE_CHECKING:
    from matlab_ros.monitor.archive import Archived
    from matlab_ros.monitor.record import CampaignRecord

JOURNAL = "journal.sqlite"
JOURNAL_ELSEWHERE = "journal.url"


@dataclass(frozen=True)
class CampaignFolder:
    """Where a campaign keeps everything.

    Attributes:
        path: of the folder, absolute.
    """

    path: Path

    @classmethod
    def for_run(cls, results: Path, name: str, journal_url: str | None = None) -> CampaignFolder:
        """The folder for a campaign that is about to run.

        What an earlier run of this name left is moved aside, never overwritten. A virtual lab has
        no memory beyond its processes, so a run that was broken off is not gone on with.

        Args:
            results: folder of all campaigns.
            name: of the campaign.
            journal_url: of its journal, where that is not in the folder; it is noted without its
                password.

        Raises:
            JournalError: it is no journal's URL.
        """
        noted = None if journal_url is None else without_password(journal_url)
        path = (results / name).resolve()
        if path.exists():
            for number in itertools.count(1):
                aside = path.with_name(f"{name}.{number}")
                if not aside.exists():
                    path.rename(aside)
                    break
        folder = cls(path)
        folder.run_dir.mkdir(parents=True)
        if noted is not None:
            (folder.run_dir / JOURNAL_ELSEWHERE).write_text(noted)
        return folder

    @classmethod
    def existing(cls, path: Path) -> CampaignFolder:
        """The folder of a campaign that ran.

        Raises:
            ConfigError: it holds no journal.
        """
        folder = cls(path.resolve())
        if not folder.journal_file.is_file() and not folder._elsewhere.is_file():
            raise ConfigError(path, "", "holds no journal", "a campaign's folder in results/")
        return folder

    @property
    def run_dir(self) -> Path:
        """What the lab's processes keep: wires, journal, raw files, memories of attempts."""
        return self.path / "run"

    @property
    def journal_file(self) -> Path:
        """The lab manager's journal, unless it is on a server."""
        return self.run_dir / JOURNAL

    @property
    def _elsewhere(self) -> Path:
        return self.run_dir / JOURNAL_ELSEWHERE

    @property
    def journal_url(self) -> str:
        """Of the lab manager's journal."""
        if self._elsewhere.is_file():
            return self._elsewhere.read_text()
        return f"sqlite:///{self.journal_file}"

    @property
    def definition(self) -> Path:
        """What the campaign was made from, laid out like a lab of one's own."""
        return self.path / "definition"

    @property
    def campaign_file(self) -> Path:
        """The campaign's file in `definition`, seed and budget as they were.

        Raises:
            ConfigError: an earlier version of this software ran it, which kept none.
        """
        files = sorted((self.definition / "campaigns").glob("*.yaml"))
        if len(files) != 1:
            raise ConfigError(self.definition, "", "holds no campaign", "what a run has kept")
        return files[0]

    @property
    def run_settings(self) -> dict[str, Any]:
        """How it was run: ``speed`` and ``launch_arguments``."""
        return mapping_in(self._run_file, read_text(self._run_file))

    @property
    def _run_file(self) -> Path:
        return self.definition / "run.yaml"

    def keep(
        self, campaign: CampaignConfig, lab: Path, recipe: Path, settings: Mapping[str, Any]
    ) -> None:
        """Keep what the campaign is made from.

        Args:
            campaign: as it runs, with what the command line said otherwise.
            lab: its file; the one that it is ``like`` is kept too.
            recipe: its file.
            settings: how it is run.
        """
        _write(
            self.definition / "campaigns" / f"{campaign.name}.yaml",
            campaign.model_dump(mode="json", exclude_unset=True),
        )
        _copy(recipe, self.definition / "recipes")
        while True:
            _copy(lab, self.definition / "labs")
            like = mapping_in(lab, read_text(lab)).get("like")
            if like is None:
                break
            lab = lab.parent / str(like)
        _write(self._run_file, settings)

    def lab(self, name: str) -> LabConfig | None:
        """The lab as it was then, or as it is now where nothing was kept."""
        file = self.definition / "labs" / f"{name}.yaml"
        return load_lab(file) if file.is_file() else lab_of(name)

    @property
    def log(self) -> Path:
        """What all processes printed."""
        return self.path / "lab.log"

    def journal(self) -> JournalReader:
        """The journal, opened for reading.

        Raises:
            JournalError: it cannot be read.
        """
        return JournalReader(self.journal_url)

    def has_begun(self) -> bool:
        """Whether the journal holds anything.

        Raises:
            JournalError: it cannot be read.
        """
        if not self._elsewhere.is_file() and not self.journal_file.is_file():
            return False
        journal = self.journal()
        try:
            return next(journal.read(), None) is not None
        finally:
            journal.close()

    def write_report(self) -> Path:
        """Write the report from journal and raw files.

        Returns:
            The report's path.

        Raises:
            LabError: the journal cannot be read, or holds no campaign.
        """
        # Plotting takes a second to load, which starting a campaign need not wait for.
        from matlab_ros.monitor.report import write_report

        return write_report(self.record(), self.path)

    def record(self) -> CampaignRecord:
        """Everything of the campaign, with what the planner makes of it.

        Raises:
            LabError: the journal cannot be read, or holds no campaign.
        """
        from matlab_ros.monitor.from_journal import record_of
        from matlab_ros.nodes.explained_campaign import belief_record, history_of

        journal = self.journal()
        try:
            found = record_of(journal.read(), find_lab=self.lab)
            beliefs = belief_record(history_of(journal.read(), found.name))
        finally:
            journal.close()
        return replace(found, beliefs=beliefs)

    def summary(self) -> dict[str, Any]:
        """How it ended, for programs.

        Raises:
            LabError: the journal cannot be read, or holds no campaign.
        """
        from matlab_ros.monitor.from_journal import record_of

        journal = self.journal()
        try:
            found = record_of(journal.read(), find_lab=self.lab)
        finally:
            journal.close()
        best = found.best()
        states = [item.state.name.lower() for item in found.experiments]
        return {
            "campaign": found.name,
            "folder": str(self.path),
            "experiments": {state: states.count(state) for state in sorted(set(states))},
            "best": None if best is None else best.objective,
            "best_experiment": None if best is None else best.experiment_id,
            "best_settings": {} if best is None else dict(best.settings),
            "seed": found.seed,
            "lab_s": found.duration_s,
        }

    def write_archive(self, target: Path) -> Archived:
        """Write everything of the campaign into a new folder, for an archive.

        Raises:
            ConfigError: the folder is there already, or a library is missing.
            LabError: the journal cannot be read, or nothing can be written.
        """
        from matlab_ros.monitor.archive import write_archive

        report = self.write_report()
        journal = self.journal()
        try:
            raw = journal.raw_files()
        finally:
            journal.close()
        return write_archive(self.record(), raw, target, report, self.definition)


def _write(file: Path, values: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def open_journal(source: str) -> JournalReader:
    """A journal to be looked at.

    Args:
        source: a campaign's folder, a journal's file, or its URL.

    Raises:
        ConfigError: there is no such folder or file.
        JournalError: it cannot be read.
    """
    if "://" in source:
        return JournalReader(source)
    path = Path(source)
    if path.is_dir():
        return CampaignFolder.existing(path).journal()
    if not path.is_file():
        raise ConfigError(
            "command line", "source", f"{source!r} is not there", "a campaign's folder or a journal"
        )
    return JournalReader(f"sqlite:///{path.resolve()}")
