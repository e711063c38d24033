"""The report: everything in one page, nothing from elsewhere, fit for two hundred experiments."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.model.lab_words import ExperimentState
from matlab_ros.monitor import wording
from matlab_ros.monitor.page_data import page_data
from matlab_ros.monitor.record import (
    AttemptRecord,
    CampaignRecord,
    ExperimentRecord,
    ParameterRecord,
    PatternRecord,
)
from matlab_ros.monitor.report import render_report, write_report

VOID = {"meta", "br", "input"}


class _Page(HTMLParser):
    """Collects what a reader's browser would fetch, and checks that what opens is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.policy = ""
        self.text: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.fetched += [str(values[name]) for name in ("src", "href") if name in values]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""
        if tag not in VOID:
            self.open.append(tag)
        self._identifier = values.get("id")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            if self._identifier == "campaign-data":
                self.data = data
        elif not self.open or self.open[-1] != "style":
            self.text.append(data)


def read(page: str) -> _Page:
    """The page as a browser reads it."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_is_written_whole_and_fetches_nothing(
    tmp_path: Path, campaign_of: Callable[..., CampaignRecord]
) -> None:
    path = write_report(campaign_of(12, 300), tmp_path / "results" / "batio3")
    assert [item.name for item in path.parent.iterdir()] == ["report.html"]
    page = read(path.read_text(encoding="utf-8"))
    assert page.fetched == []
    assert "default-src 'none'" in page.policy


def test_requested_and_measured_stand_side_by_side(
    campaign_of: Callable[..., CampaignRecord],
) -> None:
    data = campaign_of(12, 300)
    text = " ".join(read(render_report(data)).text)
    flat = re.sub(r"\s+", " ", text)
    best = data.best()
    assert best is not None
    assert f"best yield, {best.experiment_id}" in flat
    for experiment in data.experiments:
        assert experiment.experiment_id in flat
        for dose in experiment.doses:
            measured = f"{dose.measured_mg:.1f}"
            assert re.search(rf"{measured} / {dose.requested_mg:.1f}", flat)
        heating = experiment.heating
        assert heating is not None
        assert f"{heating.measured_max_c:.0f} / {heating.requested_max_c:.0f}" in flat
    assert "heat sensor break" in flat
    assert "a3" * 32 in flat
    assert "2.13.0" in flat


def test_a_reading_without_a_valid_calibration_is_marked(
    campaign_of: Callable[..., CampaignRecord],
) -> None:
    data = campaign_of(3, 50)
    assert "no valid calibration" not in render_report(data)
    first = data.experiments[0]
    doses = tuple(dataclasses.replace(dose, calibrated=False) for dose in first.doses)
    marked = dataclasses.replace(first, doses=doses)
    page = render_report(dataclasses.replace(data, experiments=(marked, *data.experiments[1:])))
    assert page.count("no valid calibration") == len(doses)


def test_names_cannot_become_markup_or_script(campaign_of: Callable[..., CampaignRecord]) -> None:
    evil = "</script><script>alert(1)</script><img src=x>"
    data = campaign_of(7, 50)
    first = dataclasses.replace(
        data.experiments[0], experiment_id=evil, settings={"precursors": evil}
    )
    data = dataclasses.replace(
        data,
        name=evil,
        target_phase=evil,
        target_formula=evil,
        experiments=(first, *data.experiments[1:]),
        attempts=(AttemptRecord(evil, evil, "heat", (evil,), 0, 10, evil),),
        versions={evil: evil},
    )
    page = read(render_report(data))
    assert page.fetched == []
    hover = json.dumps(json.loads(page.data)["gantt"]) + json.dumps(
        json.loads(page.data)["convergence"]
    )
    assert "<img" not in hover
    assert evil in " ".join(page.text)


def test_an_unfinished_campaign_without_any_result_has_a_report() -> None:
    empty = CampaignRecord("c", "MgO", "periclase", True, True, 0, 3, (), ())
    assert "Nothing was measured yet" in render_report(empty)
    planned = ExperimentRecord("c-e0001", ExperimentState.RUNNING, {"t": 1.0})
    begun = dataclasses.replace(
        empty,
        experiments=(planned,),
        parameters=(ParameterRecord("t", (), 0, 2),),
        attempts=(AttemptRecord("a", "arm", "transfer", (), 5.0, None),),
        duration_s=60.0,
    )
    text = " ".join(read(render_report(begun)).text)
    assert "under way" in text


def test_two_hundred_experiments_stay_a_page_that_can_be_sent(
    campaign_of: Callable[..., CampaignRecord],
) -> None:
    page = render_report(campaign_of(200, 7251))
    assert len(page.encode()) < 16e6


def test_a_pattern_is_drawn_as_it_was_measured(campaign_of: Callable[..., CampaignRecord]) -> None:
    data = campaign_of(1, 3000)
    pattern = data.experiments[0].pattern
    assert pattern is not None
    drawn = page_data(data)["details"]["batio3-e0001"]["pattern"]
    counts = np.frombuffer(base64.b64decode(drawn["counts"]), "<f4")
    assert counts == pytest.approx(np.array(pattern.counts), rel=1e-6)
    angles = drawn["start"] + drawn["step"] * np.arange(len(counts))
    assert angles == pytest.approx(np.array(pattern.two_theta_deg), abs=1e-6)


def test_a_long_pattern_is_averaged_and_loses_no_intensity() -> None:
    angles = np.cumsum(np.linspace(0.01, 0.02, 9001))
    counts = 50 + 1000 * np.exp(-(((angles - 60) / 0.1) ** 2))
    experiment = ExperimentRecord(
        "e",
        ExperimentState.SUCCEEDED,
        {},
        pattern=PatternRecord(tuple(angles.tolist()), tuple(counts.tolist())),
    )
    data = CampaignRecord("c", "MgO", "p", True, True, 0, 1, (), (experiment,))
    drawn = page_data(data)["details"]["e"]["pattern"]
    shown = np.frombuffer(base64.b64decode(drawn["counts"]), "<f4")
    places = np.frombuffer(base64.b64decode(drawn["x"]), "<f4")
    assert len(shown) == len(places) == 3001
    assert np.sum(shown) * 3 == pytest.approx(np.sum(counts), rel=1e-3)
    assert places[np.argmax(shown)] == pytest.approx(60, abs=0.1)
    assert "calculated" not in drawn


def test_what_overlaps_on_a_station_stands_in_lanes() -> None:
    attempts = tuple(
        AttemptRecord(f"a{n}", "furnace_1", "heat", (), start, end)
        for n, (start, end) in enumerate([(0, 10), (5, 20), (10, 30), (20, 25), (40, None)])
    )
    data = CampaignRecord("c", "MgO", "p", True, True, 0, 1, (), (), attempts, duration_s=50.0)
    bars = page_data(data)["gantt"]["actions"][0]
    rows = list(zip(bars["offset"], bars["start"], bars["length"], strict=True))
    assert len({row[0] for row in rows}) == 2
    for one in rows:
        for other in rows:
            if one is not other and one[0] == other[0]:
                assert one[1] + one[2] <= other[1] + 1e-9 or other[1] + other[2] <= one[1] + 1e-9
    assert max(start + length for _, start, length in rows) == pytest.approx(50 / 3600, rel=1e-4)


@pytest.mark.parametrize(("maximize", "best"), [(True, [10, 30, 30]), (False, [10, 10, 10])])
def test_the_best_so_far_follows_the_direction(maximize: bool, best: list[float]) -> None:
    experiments = tuple(
        ExperimentRecord(f"e{n}", ExperimentState.SUCCEEDED, {}, value)
        for n, value in enumerate((0.1, None, 0.3, 0.2))
    )
    data = CampaignRecord("c", "MgO", "p", maximize, True, 0, 4, (), experiments)
    drawn = page_data(data)["convergence"]
    assert drawn["best"] == best
    assert drawn["number"] == [1, 3, 4]


@given(st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_any_number_can_be_written_down(value: float) -> None:
    text = wording.number(value)
    if not math.isfinite(value):
        assert text == wording.DASH
    else:
        assert float(text) == pytest.approx(value, rel=5e-3, abs=1e-300)


def test_numbers_and_spans_are_written_for_people() -> None:
    assert wording.number(950.0) == "950"
    assert wording.number(3.14159) == "3.14"
    assert wording.number(0.0) == "0"
    assert wording.percent(0.873, 0.02) == "87.3 ± 2.0 %"
    assert wording.duration(59.6) == "1 min 00 s"
    assert wording.duration(26 * 3600) == "1 d 2 h"
    assert wording.label("dwell_h") == "dwell (h)"
    assert wording.label("temperature_c") == "temperature (°C)"
    line = wording.settings_line({"dwell_h": 2.0, "precursors": "A + B"})
    assert line == "A + B, dwell (h) 2"
