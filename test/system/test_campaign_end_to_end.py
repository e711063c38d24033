"""A short campaign through all processes ends well, and its journal and report tell all of it."""

from __future__ import annotations

import hashlib
import itertools
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from matlab_ros.lab.events import AttemptEnded, AttemptIntended
from matlab_ros.model.lab_words import ExperimentState, ObservationKind, SampleState

EXPERIMENTS = [f"steep-e{number:04d}" for number in range(1, 5)]
FETCHING = {"script", "link", "img", "iframe", "source", "video", "audio", "object", "embed"}


class _Fetched(HTMLParser):
    """Addresses that a browser fetches when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_fetched = name in ("src", "srcset", "data") or (name == "href" and tag in FETCHING)
            if is_fetched and value and not value.startswith(("data:", "#")):
                self.addresses.append(f"{tag} {name}={value[:80]}")
            if name == "style" and value and "url(" in value and "url(data:" not in value:
                self.addresses.append(f"{tag} style={value[:80]}")


def test_it_ends_well_and_says_where_the_report_is(finished: Any) -> None:
    campaign = finished.process
    assert finished.code == 0, campaign.told()
    assert "Done: 4 experiments succeeded, 0 failed" in campaign.out
    assert f"Report: {campaign.path / 'report.html'}" in campaign.out


def test_the_report_needs_no_network_and_shows_every_experiment(finished: Any) -> None:
    report = (finished.process.path / "report.html").read_text(encoding="utf-8")
    page = _Fetched()
    page.feed(report)
    assert page.addresses == []
    for experiment in EXPERIMENTS:
        assert experiment in report


def test_replaying_the_journal_gives_a_campaign_that_is_over(finished: Any) -> None:
    entries = finished.process.entries()
    assert [entry.sequence for entry in entries] == list(range(1, 1 + len(entries)))
    times = [entry.ros_time_ns for entry in entries]
    assert times == sorted(times)
    state = finished.process.state()
    assert not state.campaign.running
    assert not state.attempts
    assert list(state.experiments) == EXPERIMENTS
    assert {run.state for run in state.experiments.values()} == {ExperimentState.SUCCEEDED}
    assert {sample.state for sample in state.samples.values()} == {SampleState.DONE}
    positions = [sample.position for sample in map(state.container_of, state.experiments.values())]
    assert len(set(positions)) == len(positions)
    assert all(position.startswith("rack/") for position in positions)


def test_every_goal_was_written_down_before_it_was_sent_and_ended_once(finished: Any) -> None:
    intended: set[str] = set()
    ended: set[str] = set()
    for entry in finished.process.entries():
        if isinstance(entry.event, AttemptIntended):
            assert entry.event.attempt_id not in intended
            intended.add(entry.event.attempt_id)
        if isinstance(entry.event, AttemptEnded):
            report = entry.event.outcome.report
            assert entry.event.attempt_id in intended - ended
            assert report.simulated
            assert report.began_ns < report.ended_ns <= entry.ros_time_ns
            ended.add(entry.event.attempt_id)
    assert intended == ended
    assert len(intended) >= 7 * len(EXPERIMENTS)


def test_masses_are_measured_and_not_what_was_asked_for(finished: Any) -> None:
    campaign = finished.process
    goals = {goal.attempt_id: goal for goal in campaign.intended("dispense")}
    ends = [event for event in campaign.events(AttemptEnded) if event.outcome.TAG == "dispense"]
    assert len(ends) == len(EXPERIMENTS)
    for event in ends:
        goal = goals[event.attempt_id]
        assert len(event.outcome.doses) == len(goal.doses) == 2
        for asked, found in zip(goal.doses, event.outcome.doses, strict=True):
            assert found.substance == asked.substance
            assert found.requested_mg == asked.mass_mg
            assert found.measured_mg != asked.mass_mg
            assert abs(found.measured_mg - asked.mass_mg) < 2 * asked.tolerance_mg
            assert 0 < found.uncertainty_mg < 0.1


def test_temperatures_are_measured_over_the_whole_run(finished: Any) -> None:
    campaign = finished.process
    goals = {goal.attempt_id: goal for goal in campaign.intended("heat")}
    heated: list[str] = []
    for event in campaign.events(AttemptEnded):
        if event.outcome.TAG != "heat":
            continue
        goal, outcome, trace = goals[event.attempt_id], event.outcome, event.outcome.trace
        heated.extend(goal.sample_ids)
        (segment,) = goal.profile.segments
        assert len(trace.elapsed_s) == len(trace.measured_c) == len(trace.setpoint_c) > 20
        assert all(a < b for a, b in itertools.pairwise(trace.elapsed_s))
        assert trace.measured_c != trace.setpoint_c
        assert trace.measured_c[0] < 80
        assert trace.measured_c[-1] < goal.profile.unload_below_c
        assert max(trace.measured_c) == outcome.max_measured_c != segment.target_c
        assert math.isclose(outcome.max_measured_c, segment.target_c, abs_tol=10.0)
        assert outcome.dwell_min != segment.dwell_min
        assert math.isclose(outcome.dwell_min, segment.dwell_min, abs_tol=15.0)
    assert sorted(heated) == [f"{name}-s1" for name in EXPERIMENTS]


def test_the_planner_learns_from_what_was_measured(finished: Any) -> None:
    campaign = finished.process
    heat = {
        sample.sample_id: outcome
        for outcome in campaign.outcomes("heat")
        for sample in outcome.report.samples
    }
    observations = campaign.observations()
    assert sorted(observations) == EXPERIMENTS
    for name, observation in observations.items():
        outcome = heat[f"{name}-s1"]
        learnt = {setting.name: setting.value for setting in observation.settings}
        asked = {setting.name: setting.value for setting in observation.requested}
        assert observation.status is ObservationKind.MEASURED
        assert observation.simulated
        assert learnt.keys() == asked.keys() == {"temperature_c", "dwell_h"}
        assert learnt["temperature_c"] == outcome.max_measured_c != asked["temperature_c"]
        assert math.isclose(learnt["dwell_h"], outcome.dwell_min / 60)
        assert learnt["dwell_h"] != asked["dwell_h"]
        assert 0 <= observation.objective <= 1
        assert observation.sigma > 0


def test_patterns_are_kept_under_their_hash(finished: Any) -> None:
    patterns = [outcome.pattern for outcome in finished.process.outcomes("measure")]
    fits = [outcome.fit for outcome in finished.process.outcomes("analyse")]
    assert len({item.sha256 for item in patterns}) == len(EXPERIMENTS) == len(fits)
    for item in (*patterns, *fits):
        path = Path(unquote(urlparse(item.uri).path))
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == item.sha256
        assert path.name.startswith(item.sha256)
        assert len(content) == item.size_bytes
        assert path.is_relative_to(finished.process.path)


def test_several_samples_are_in_flight_and_both_furnaces_heat_at_once(finished: Any) -> None:
    campaign = finished.process
    spans: dict[str, list[tuple[int, int]]] = {}
    for outcome in campaign.outcomes("heat"):
        report = outcome.report
        spans.setdefault(report.device, []).append((report.began_ns, report.ended_ns))
    assert spans.keys() == {"furnace_1", "furnace_2"}
    assert any(
        first[0] < second[1] and second[0] < first[1]
        for first in spans["furnace_1"]
        for second in spans["furnace_2"]
    )
    in_flight, most = 0, 0
    for entry in campaign.entries():
        in_flight += isinstance(entry.event, AttemptIntended)
        in_flight -= isinstance(entry.event, AttemptEnded)
        most = max(most, in_flight)
    assert most >= 3


def test_no_process_of_the_lab_outlives_its_campaign(finished: Any) -> None:
    campaign = finished.process
    assert len(campaign.pids()) >= 8
    assert campaign.remaining() == {}
    assert list((campaign.path / "run" / "wires").iterdir()) == []
