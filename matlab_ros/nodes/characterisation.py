"""The characterisation station's node: measures patterns and finds the phases in them."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from matlab_ros.instruments.aeris import Aeris
from matlab_ros.instruments.transport import TcpTransport
from matlab_ros.model.errors import ConfigError, DataError
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.nodes.device_node import Attempt, AttemptCanceled, DeviceNode, run_node
from matlab_ros.nodes.raw_files import keep, path_of
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.verdict import verdict
from matlab_ros_interfaces.action import AnalysePattern, MeasureXrd
from matlab_ros_interfaces.msg import FitQuality, PhaseFraction

XRDML = "application/vnd.panalytical.xrdml+xml"
STARTED = "measurement started"
"""Note of an attempt whose measurement the diffractometer has been told to make."""

FILE_PATIENCE_S = 120.0
MEASURE_PATIENCE_S = 4 * 3600.0


class CharacterisationNode(DeviceNode):
    """Offers ``measure_xrd`` and ``analyse_pattern``.

    Parameters: ``aeris_address`` (host:port), ``share_dir`` (where the diffractometer writes its
    results), ``data_dir`` (where raw files are kept), ``structures_dir`` (CIF files),
    ``poll_period_s`` (ROS time between looks).
    """

    def __init__(self) -> None:
        super().__init__("characterisation")
        address: str = self.parameter("aeris_address", "127.0.0.1:702")
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigError("parameters", "aeris_address", f"is {address!r}", "host:port")
        self._host, self._port = host, int(port)
        self._share = Path(self.parameter("share_dir", ""))
        self._data = Path(self.parameter("data_dir", "data"))
        self._library = Library(Path(self.parameter("structures_dir", "")))
        self._poll_s: float = self.parameter("poll_period_s", 5.0)
        self._aeris: Aeris | None = None
        self.offer(
            MeasureXrd,
            "~/measure_xrd",
            self._measure,
            lambda goal: [(goal.sample_id, goal.position)],
        )
        self.offer(
            AnalysePattern, "~/analyse_pattern", self._analyse, lambda goal: [(goal.sample_id, "")]
        )

    def connect(self) -> None:
        """See that the diffractometer answers."""
        aeris = Aeris(TcpTransport(self._host, self._port), self._share)
        aeris.is_ready()
        self._aeris = aeris

    def disconnect(self) -> None:
        """Nothing is held open between messages."""
        self._aeris = None

    def _names_of(self, target: str, elements: Sequence[str]) -> set[str]:
        """Names under which the target's structure can be found: of several files that describe
        one structure, the library lets only one compete."""
        competing = {phase.name for phase in self._library.candidates(elements).phases}
        if not target or target in competing:
            return {target}
        return {phase.name for phase in self._library.named(target)}

    def _measure(self, attempt: Attempt, goal: MeasureXrd.Goal, result: MeasureXrd.Result) -> None:
        aeris = self._aeris
        assert aeris is not None, "an active station has its diffractometer"
        # The diffractometer knows a sample by one word; an attempt's is never used twice.
        name = re.sub(r"[^A-Za-z0-9_.+-]", "-", attempt.attempt_id)[-64:]
        slot = int(goal.position.rpartition("/")[2])
        if attempt.note != STARTED:
            attempt.step("looking for the sample", 0.0)
            if not aeris.is_occupied(slot):
                raise DeviceError(
                    Fault.of(
                        FaultCode.MEASURE_NO_SAMPLE,
                        f"no sample stands at {goal.position}; expected {goal.sample_id}",
                    )
                )
            aeris.add_sample(name, slot, goal.program)
            attempt.remember(STARTED)
            aeris.start_measurement(name, goal.program)
        attempt.step(f"measuring {goal.program}")
        try:
            path = self._wait_for_file(attempt, aeris, name)
        except AttemptCanceled:
            # The diffractometer has no command that ends a scan: it is safe when the scan is over.
            while not aeris.is_ready():
                attempt.wait(self._poll_s, cancelable=False)
            aeris.remove_sample(name)
            raise
        except DeviceError:
            self._forget(aeris, name)
            raise
        result.pattern = keep(path.read_bytes(), self._data, ".xrdml", XRDML)
        aeris.remove_sample(name)

    def _forget(self, aeris: Aeris, name: str) -> None:
        """Free the slot in the diffractometer's books, so that a further attempt can use it."""
        try:
            aeris.remove_sample(name)
        except DeviceError as error:
            self.get_logger().warning(str(error))

    def _wait_for_file(self, attempt: Attempt, aeris: Aeris, name: str) -> Path:
        limit = self.time.now_ns() + round(MEASURE_PATIENCE_S * 1e9)
        ready_since_ns = 0
        while True:
            path = aeris.result_path(name)
            ready = aeris.is_ready()
            # The file is there before the sample is back in its place.
            if path is not None and ready:
                return path
            now = self.time.now_ns()
            if not ready:
                ready_since_ns = 0
            elif not ready_since_ns:
                ready_since_ns = now
            elif now - ready_since_ns > FILE_PATIENCE_S * 1e9:
                raise DeviceError(
                    Fault.of(
                        FaultCode.MEASURE_FILE_MISSING,
                        f"{self.device.name}: the diffractometer is done and {name}.xrdml is not "
                        f"on the share {self._share}",
                    )
                )
            if now > limit:
                raise DeviceError(
                    Fault.of(
                        FaultCode.MEASURE_DEVICE_FAILED,
                        f"{self.device.name}: the measurement did not end within "
                        f"{MEASURE_PATIENCE_S / 3600:g} h",
                    )
                )
            attempt.wait(self._poll_s)

    def _analyse(
        self, attempt: Attempt, goal: AnalysePattern.Goal, result: AnalysePattern.Result
    ) -> None:
        attempt.step("finding phases")
        result.target_fraction = result.target_sigma = math.nan
        try:
            pattern = read_pattern(path_of(goal.pattern))
        except DataError as error:
            raise DeviceError(Fault.of(FaultCode.ANALYSE_FILE_UNREADABLE, str(error))) from error
        try:
            analysis = analyse(
                pattern,
                self._library,
                elements=list(goal.elements) or None,
                phases=list(goal.phases) or None,
            )
        except (DataError, ValueError) as error:
            raise DeviceError(Fault.of(FaultCode.ANALYSE_NO_CANDIDATES, str(error))) from error
        describe(analysis, self._names_of(goal.target_phase, goal.elements), result)
        result.fit = keep(_curves(analysis), self._data, ".fit.csv", "text/csv")


def describe(analysis: Analysis, target: set[str], result: AnalysePattern.Result) -> None:
    """Fill the result's fields from an analysis.

    Args:
        analysis: of a pattern.
        target: names of the phase whose weight fraction is the yield.
        result: to be filled.
    """
    result.phases = [
        PhaseFraction(
            phase=phase.structure.name,
            formula=phase.structure.formula,
            weight_fraction=phase.weight_fraction,
            sigma=phase.sigma,
        )
        for phase in analysis.phases
    ]
    found = [item for item in result.phases if item.phase in target]
    result.target_fraction = math.fsum(item.weight_fraction for item in found)
    # Not found means below what a search can see, not exactly none.
    result.target_sigma = found[0].sigma if found else 0.02
    fit = analysis.fit
    stray = analysis.unexplained
    result.quality = FitQuality(
        rwp_percent=100 * fit.rwp,
        rexp_percent=100 * fit.rexp,
        goodness_of_fit=fit.gof,
        unexplained_fraction=stray.share_of_intensity,
        unexplained_peaks_deg=[peak.two_theta_deg for peak in stray.peaks],
        bounds_hit=list(fit.bounds_hit),
    )
    judged = verdict(analysis)
    result.verdict = int(judged.kind)
    result.remarks = list(dict.fromkeys((*judged.reasons, *analysis.notes)))


def _curves(analysis: Analysis) -> bytes:
    """Table of the fit: 2 theta, counts, calculated, background."""
    fit = analysis.fit
    table = np.column_stack(
        [fit.pattern.two_theta_deg, fit.pattern.counts, fit.calculated, fit.background]
    )
    text = io.StringIO()
    np.savetxt(
        text,
        table,
        fmt=("%.4f", "%.1f", "%.2f", "%.2f"),
        delimiter=",",
        header="two_theta_deg,counts,calculated,background",
        comments="",
    )
    return text.getvalue().encode()


def main() -> int:
    """Run the characterisation station."""
    return run_node(CharacterisationNode)
