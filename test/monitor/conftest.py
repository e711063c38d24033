"""A made-up campaign with everything that a report can show."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_words import ExperimentState, Resolution, Verdict
from matlab_ros.monitor.record import (
    AnalysisRecord,
    AttemptRecord,
    CampaignRecord,
    DoseRecord,
    ExperimentRecord,
    FaultRecord,
    HeatingRecord,
    ParameterRecord,
    PatternRecord,
    PhaseRecord,
    SuggestionRecord,
)

SETS = ("BaCO3 + TiO2", "BaO2 + TiO2", "BaO + TiO2", "Ba(OH)2 + TiO2")


def _pattern(rng: np.random.Generator, fraction: float, points: int) -> PatternRecord:
    angles = np.linspace(10, 100, points)
    background = 120 + 500 / angles
    calculated = background.copy()
    for center, height in ((22, 300), (31.5, 2600), (39, 800), (45, 900), (56, 1000), (66, 500)):
        calculated += fraction * height * np.exp(-(((angles - center) / 0.12) ** 2))
    for center, height in ((23.9, 2000), (34.1, 700), (41.9, 700), (27.4, 900)):
        calculated += (1 - fraction) * height * np.exp(-(((angles - center) / 0.15) ** 2))
    counts = rng.poisson(calculated * (1 + 0.02 * np.sin(angles)))
    return PatternRecord(
        tuple(angles.tolist()),
        tuple(counts.astype(float).tolist()),
        tuple(calculated.tolist()),
        tuple(background.tolist()),
    )


def _heating(rng: np.random.Generator, target: float, dwell_min: float) -> HeatingRecord:
    ramp_s = target / 10 * 60
    total = ramp_s + dwell_min * 60 + 6 * 3600
    elapsed = np.arange(0, total, 60.0)
    setpoint = np.where(elapsed < ramp_s, 20 + elapsed / ramp_s * (target - 20), target)
    after = elapsed > ramp_s + dwell_min * 60
    setpoint = np.where(after, 20.0, setpoint)
    cooling = 20 + (target - 20) * np.exp(-(elapsed - ramp_s - dwell_min * 60) / 5000)
    measured = np.where(after, cooling, setpoint - 4) + rng.normal(0, 0.6, len(elapsed))
    readings: list[float | None] = list(measured.tolist())
    readings[10] = None
    return HeatingRecord(
        target,
        float(measured.max()),
        dwell_min,
        dwell_min - 3,
        tuple(elapsed.tolist()),
        tuple(readings),
        tuple(setpoint.tolist()),
    )


def make_campaign(count: int, points: int = 4500) -> CampaignRecord:
    """A campaign of so many experiments, every seventh of which failed."""
    rng = np.random.default_rng(1)
    experiments: list[ExperimentRecord] = []
    attempts: list[AttemptRecord] = []
    faults: list[FaultRecord] = []
    for number in range(count):
        identifier = f"batio3-e{number + 1:04d}"
        precursors = SETS[int(rng.integers(4))]
        target = float(round(rng.uniform(700, 1250)))
        dwell = float(round(math.exp(rng.uniform(0, 3)), 2))
        began = number // 4 * 9 * 3600.0 + number % 4 * 900.0
        failed = number % 7 == 5
        value = min(
            max(math.exp(-(((target - 1100) / 150) ** 2)) * (0.6 + 0.13 * math.log(dwell)), 0.0),
            1.0,
        )
        doses = (
            DoseRecord(precursors.split(" + ")[0], 712.4, 712.9 + rng.normal(0, 1), 0.12),
            DoseRecord("TiO2", 287.6, 301.2 if failed else 287.5, 0.12, not failed),
        )
        furnace = f"furnace_{number // 4 % 2 + 1}"
        firing = began + 2700
        error = "HEAT_SENSOR_BREAK" if failed else ""
        for action, station, start, length in (
            ("dispense", "dispenser", began, 840.0),
            ("transfer", "arm", began + 850, 160.0),
            ("heat", furnace, firing, (target / 10 + dwell * 60) * 60 + 6 * 3600),
            ("measure", "characterisation", firing + 7.4 * 3600, 480.0),
        ):
            attempts.append(
                AttemptRecord(
                    f"{identifier}/{action}/1",
                    station,
                    action,
                    (identifier,),
                    start,
                    None if number == count - 1 and action == "measure" else start + length,
                    error if action == "heat" else "",
                )
            )
            if failed and action == "heat":
                break
        settings = {"precursors": precursors, "temperature_c": target, "dwell_h": dwell}
        suggestion = (
            SuggestionRecord("sobol")
            if number < 6
            else SuggestionRecord("qLogNEI", value + rng.normal(0, 0.1), 0.12)
        )
        heating = _heating(rng, target, dwell * 60)
        if failed:
            message = "Thermocouple of furnace reads open circuit <b>&</b> the run was cooled."
            faults.append(
                FaultRecord(
                    firing + 4000,
                    furnace,
                    error,
                    message,
                    (identifier,),
                    Resolution.OPEN if number > 12 else Resolution.ABORT_EXPERIMENT,
                    "policy",
                )
            )
            experiments.append(
                ExperimentRecord(
                    identifier,
                    ExperimentState.FAILED,
                    settings,
                    suggestion=suggestion,
                    doses=doses,
                    heating=heating,
                    began_s=began,
                    message=message,
                )
            )
            continue
        phases = [PhaseRecord("BaTiO3-tetragonal", "BaTiO3", value, 0.03)]
        phases.append(PhaseRecord("BaCO3-witherite", "BaCO3", 0.7 * (1 - value), 0.02))
        phases.append(PhaseRecord("TiO2-rutile", "TiO2", 0.3 * (1 - value), 0.02))
        verdict = Verdict.CONFIRMED if value > 0.3 else Verdict.PROVISIONAL
        experiments.append(
            ExperimentRecord(
                identifier,
                ExperimentState.SUCCEEDED,
                settings,
                value,
                0.03,
                {**settings, "temperature_c": heating.measured_max_c or target},
                suggestion,
                doses,
                heating,
                _pattern(rng, value, points),
                AnalysisRecord(
                    tuple(sorted(phases, key=lambda item: -item.weight_fraction)),
                    verdict,
                    () if verdict is Verdict.CONFIRMED else ("A peak at 28.1° has no phase.",),
                    8.4,
                    6.1,
                    0.03,
                ),
                began,
                firing + 8 * 3600,
            )
        )
    return CampaignRecord(
        "batio3-demo",
        "BaTiO3",
        "BaTiO3-tetragonal",
        True,
        True,
        7,
        count,
        (
            ParameterRecord("precursors", SETS),
            ParameterRecord("temperature_c", (), 700, 1250),
            ParameterRecord("dwell_h", (), 1, 20, True),
        ),
        tuple(experiments),
        tuple(attempts),
        tuple(faults),
        ("dispenser", "arm", "furnace_1", "furnace_2", "characterisation"),
        count / 4 * 9 * 3600.0 + 20000,
        94.0,
        "solid_state",
        "a3" * 32,
        {"matlab_ros": "0.1.0", "torch": "2.13.0", "botorch": "0.18.1"},
        {"observations, SHA-256": "0b" * 32, "planner": "bayesian", "lab": "virtual_lab"},
    )


@pytest.fixture(scope="session")
def campaign_of() -> Callable[..., CampaignRecord]:
    """Makes a campaign of so many experiments."""
    return make_campaign


PATIENCE_S = 30.0


class Served:
    """The page's server in a thread of its own."""

    def __init__(self, access: Any, follow: Callable[[Any], str]) -> None:
        # Not everybody who tests a report has the page's libraries.
        from matlab_ros.monitor.live import LiveValues
        from matlab_ros.monitor.web import MonitorServer

        self.values = LiveValues()
        server = MonitorServer(self.values, _no_journal, dict, follow, access, port=0)
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(server.run(self._on_ready))
        self._ready = threading.Event()
        self.address = ""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def _on_ready(self, address: str) -> None:
        self.address = address
        self._ready.set()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def _no_journal() -> Any:
    raise LabError("The journal is elsewhere.")


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Starts servers, by default one at which everybody may do everything."""
    started: list[Served] = []

    def start(access: Any = None, follow: Callable[[Any], str] = lambda _: "Done.") -> Served:
        from matlab_ros.monitor.access import Access, Person, Role

        everybody = Access(everybody=Person("me", Role.OPERATOR))
        started.append(Served(access or everybody, follow))
        return started[-1]

    yield start
    for served in started:
        served.close()
