"""What the journal says, told for the checker: attempts, samples and where crucibles should be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from matlab_ros.lab import events as ev
from matlab_ros.lab.goals import Goal, Outcome
from matlab_ros.lab.journal import JournalEntry
from matlab_ros.model.lab_words import SampleFate

NS = 1_000_000_000


@dataclass
class AttemptStory:
    """One attempt as the journal tells it; times in seconds of ROS time.

    Attributes:
        attempt_id: of it.
        device: that did it.
        goal: what was asked.
        sample_ids: concerned.
        intended_s: when the intent was written.
        ended_s: when the outcome was written; infinite while it was not.
        outcome: the device's word, None without.
        fates: by sample, what the lab concluded.
        positions: by sample, where the lab thinks its container is afterwards.
        done: samples to which the step counts as done.
    """

    attempt_id: str
    device: str
    goal: Goal
    sample_ids: tuple[str, ...]
    intended_s: float
    ended_s: float = math.inf
    outcome: Outcome | None = None
    fates: dict[str, SampleFate] = field(default_factory=dict)
    positions: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    @property
    def kind(self) -> str:
        """Of its goal."""
        return self.goal.TAG

    @property
    def code(self) -> int:
        """Of its outcome; -1 without one."""
        return -1 if self.outcome is None else self.outcome.report.code

    def is_given_up(self) -> bool:
        """Whether the lab ended it without its device's word."""
        return self.outcome is not None and not self.outcome.report.software_version


@dataclass
class Story:
    """The whole journal, told."""

    attempts: dict[str, AttemptStory] = field(default_factory=dict)
    intended: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    containers: dict[str, str] = field(default_factory=dict)
    """By sample."""
    experiments: dict[str, str] = field(default_factory=dict)
    """By sample."""
    suggested: list[str] = field(default_factory=list)
    experiments_ended: list[ev.ExperimentEnded] = field(default_factory=list)
    observations: dict[str, list[ev.ObservationMade]] = field(default_factory=dict)
    campaign: ev.CampaignStarted | None = None
    campaign_ends: list[ev.CampaignEnded] = field(default_factory=list)
    restarts: int = 0
    exhausted: bool = False
    """The planner had nothing left that was not tried."""

    def of_kind(self, kind: str) -> list[AttemptStory]:
        """Attempts of one kind, in the order of their intents."""
        return [item for item in self.attempts.values() if item.kind == kind]

    def of_device(self, device: str) -> list[AttemptStory]:
        """Attempts of one device, in the order of their intents."""
        return [item for item in self.attempts.values() if item.device == device]

    def sample_in(self, container: str, t: float) -> str | None:
        """The sample whose container it was; one experiment uses a container at most."""
        found = [name for name, item in self.containers.items() if item == container]
        return found[-1] if found else None


def tell(entries: Iterable[JournalEntry]) -> Story:
    """The story of a journal."""
    story = Story()
    for entry in entries:
        _take(story, entry.event, entry.ros_time_ns / NS)
    return story


def _take(story: Story, event: ev.Event, t: float) -> None:
    match event:
        case ev.CampaignStarted():
            story.campaign = event
        case ev.CampaignEnded():
            story.campaign_ends.append(event)
        case ev.ManagerRestarted():
            story.restarts += 1
        case ev.SuggestionsReceived():
            story.suggested.extend(item.experiment_id for item in event.suggestions)
            story.exhausted = story.exhausted or event.exhausted
        case ev.ExperimentSubmitted():
            story.suggested.append(event.experiment_id)
        case ev.ExperimentStarted():
            story.containers[event.sample_id] = event.container_id
            story.experiments[event.sample_id] = event.experiment_id
        case ev.ExperimentEnded():
            story.experiments_ended.append(event)
        case ev.ObservationMade():
            story.observations.setdefault(event.experiment_id, []).append(event)
        case ev.AttemptIntended():
            story.intended.append(event.attempt_id)
            story.attempts.setdefault(
                event.attempt_id,
                AttemptStory(
                    event.attempt_id,
                    event.device,
                    event.goal,
                    tuple(work.sample_id for work in event.works),
                    t,
                ),
            )
        case ev.AttemptEnded():
            story.ended.append(event.attempt_id)
            _end(story.attempts.get(event.attempt_id), event, t)
        case _:
            pass


def _end(attempt: AttemptStory | None, event: ev.AttemptEnded, t: float) -> None:
    if attempt is None or attempt.outcome is not None:
        return
    attempt.ended_s, attempt.outcome = t, event.outcome
    for effect in event.effects:
        sample = effect.work.sample_id
        attempt.fates[sample] = effect.fate
        attempt.positions[sample] = effect.position
        if effect.done:
            attempt.done.add(sample)


def owner(
    attempts: Sequence[AttemptStory], t: float, slack_s: float, container: str | None = None
) -> AttemptStory | None:
    """The attempt of one device within whose time a moment falls.

    Args:
        attempts: of that device.
        t: the moment.
        slack_s: by which the times may differ.
        container: where a moment belongs to two attempts, one that ends and one that begins, it is
            that of this container; the later one otherwise.
    """
    found = [item for item in attempts if item.intended_s - slack_s <= t <= item.ended_s + slack_s]
    fitting = [item for item in found if getattr(item.goal, "container_id", None) == container]
    return next(iter((*fitting[-1:], *found[-1:])), None)
