"""The live view on the command line: a snapshot in, something to look at out."""

from __future__ import annotations

import dataclasses
import io
import math

import pytest
from rich.console import Console

from matlab_ros.monitor.progress import (
    ProgressSnapshot,
    StationMood,
    StationView,
    render,
    sparkline,
    time_left,
)

SNAPSHOT = ProgressSnapshot(
    "batio3-demo",
    "BaTiO3",
    24,
    succeeded=9,
    failed=1,
    in_flight=4,
    objectives=(0.1, 0.5, 0.9),
    best_objective=0.9,
    best_sigma=0.03,
    best_settings={"precursors": "BaCO3 + TiO2", "temperature_c": 1080.0, "dwell_h": 6.0},
    stations=(
        StationView("furnace_1", StationMood.WORKING, "dwell at 1080 °C", "batio3-e0011", 0.4),
        StationView("arm", StationMood.IDLE),
        StationView("dispenser", StationMood.FAULTED, "head empty"),
    ),
    open_faults=1,
    lab_s=93000,
    wall_s=41,
    wall_left_s=52,
)


def shown(snapshot: ProgressSnapshot, width: int = 110) -> str:
    """What stands on a terminal of that width."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(snapshot))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_view_says_how_far_what_is_best_and_who_does_what() -> None:
    text = shown(SNAPSHOT)
    for words in (
        "10/24 experiments, 4 in flight, 1 failed",
        "90.0 ± 3.0 %",
        "BaCO3 + TiO2",
        "temperature (°C) 1080",
        "1 d 1 h in the lab",
        "time left 52 s",
        "furnace_1",
        "dwell at 1080 °C",
        "batio3-e0011",
        "head empty",
        "1 fault waits for a decision",
    ):
        assert words in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_view_fits_the_terminal(width: int) -> None:
    assert all(len(line) <= width for line in shown(SNAPSHOT, width).splitlines())


def test_a_campaign_that_just_began_has_a_view() -> None:
    text = shown(ProgressSnapshot("c", "MgO", 3))
    assert "0/3 experiments" in text
    assert "time left –" in text


def test_names_are_not_read_as_markup() -> None:
    odd = dataclasses.replace(SNAPSHOT, campaign="[red]x[/red]", target="[/]")
    assert "[red]x[/red]" in shown(odd)


def test_time_left_counts_what_is_half_done() -> None:
    assert time_left(0, 4, 24, 10.0) is None
    assert time_left(10, 4, 24, 60.0) == pytest.approx(60.0)
    assert time_left(24, 0, 24, 60.0) == 0.0
    assert time_left(24, 3, 24, 60.0) == 0.0


def test_the_sparkline_follows_the_values() -> None:
    assert sparkline((0.0, 0.5, 1.0, 1.2, -1.0)) == "▁▅██▁"
    assert sparkline((math.nan,)) == " "
