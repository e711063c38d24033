"""The characterisation station's node: measures patterns and finds the phases in them."""

from __future__ import annotations

import contextlib
import math
import re
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from pathlib import Path

import numpy as np

from matlab_ros.instruments.aeris import Aeris
from matlab_ros.instruments.plugs import plug_of
from matlab_ros.model.faults import DeviceError, Fault, FaultCode
from matlab_ros.model.lab_words import Confirm
from matlab_ros.nodes.analysis_messages import scan_program_from
from matlab_ros.nodes.analysis_results import describe
from matlab_ros.nodes.device_node import Attempt, AttemptCanceled, DeviceNode, run_node
from matlab_ros.nodes.raw_files import keep, path_of
from matlab_ros.xrd.analyse import Analysis
from matlab_ros.xrd.analyst import (
    Analyst,
    AnalystGone,
    Answer,
    NothingToFit,
    PatternUnreadable,
    Question,
)
from matlab_ros_interfaces.action import AnalysePattern, MeasureXrd

XRDML = "application/vnd.panalytical.xrdml+xml"
STARTED = "measurement started"
"""Note of an attempt whose measurement the diffractometer has been told to make."""
FETCHED = "sample fetched"
"""Note of one whose sample was seen to leave its slot: it is this one that is measured."""
FETCH_LOOK_S, FETCH_PATIENCE_S = 15.0, 120.0
"""ROS time between looks whether it left its slot, and in which it has to."""

FILE_PATIENCE_S = 120.0
CONTACT_PATIENCE_S = 600.0
"""ROS time without an answer after which a measurement counts as failed."""
LEFT_BEHIND = 20
"""Attempts back to which a sample may have been left in the diffractometer's books."""
MEASURE_PATIENCE_S = 4 * 3600.0
ANALYSE_PATIENCE_S = 600.0
"""Steady seconds for one analysis, which takes less than one as a rule."""


class CharacterisationNode(DeviceNode):
    """Offers ``measure_xrd`` and ``analyse_pattern``.

    Parameters: ``aeris_address`` (host:port), ``share_dir`` (where the diffractometer writes its
    results), ``data_dir`` (where raw files are kept), ``structures_dir`` (CIF files),
    ``poll_period_s`` (ROS time between looks), ``reply_patience_s`` (steady seconds for one answer
    of the diffractometer), ``analysis_time_s`` (ROS time after which an
    analysis is told, and not before; 0: as soon as it is done). With simulated time, an analysis
    that takes none of it would hold up everybody else's; one that takes a fixed share of it goes on
    beside their work, and history does not depend on the computer's speed.
    """

    def __init__(self) -> None:
        super().__init__("characterisation")
        self._diffractometer = plug_of(
            self.device,
            "diffractometer",
            port=self.parameter("aeris_address", ""),
            record=self.parameter("record", ""),
        )
        self._share = Path(self.parameter("share_dir", ""))
        self._data = Path(self.parameter("data_dir", "data"))
        self._analyst = Analyst(Path(self.parameter("structures_dir", "")))
        self._analyses = ThreadPoolExecutor(1, "analyses")
        self._analysis_s: float = self.parameter("analysis_time_s", 0.0)
        self._poll_s: float = self.parameter("poll_period_s", 5.0)
        self._reply_s: float = self.parameter("reply_patience_s", 2.0)
        self._aeris: Aeris | None = None
        self.offer(
            MeasureXrd,
            "~/measure_xrd",
            self._measure,
            lambda goal: [(goal.sample_id, goal.position)],
        )
        self.offer(
            AnalysePattern,
            "~/analyse_pattern",
            self._analyse,
            lambda goal: [(goal.sample_id, "")],
            at_once=self.device.analyses_at_once,
        )

    def connect(self) -> None:
        """See that the diffractometer answers."""
        self._aeris = self._diffractometer.open(self._share, deadline_s=self._reply_s)
        self._analyst.start()

    def disconnect(self) -> None:
        """Nothing is held open between messages."""
        self._aeris = None

    def destroy_node(self) -> None:
        """End the process that analyses."""
        self._analyses.shutdown(wait=False, cancel_futures=True)
        self._analyst.close()
        super().destroy_node()

    def _measure(self, attempt: Attempt, goal: MeasureXrd.Goal, result: MeasureXrd.Result) -> None:
        aeris = self._aeris
        assert aeris is not None, "an active station has its diffractometer"
        name = name_of(attempt.attempt_id)
        slot = int(goal.position.rpartition("/")[2])
        began_ns = self.time.now_ns()
        if attempt.note not in (STARTED, FETCHED):
            attempt.step("looking for the sample", 0.0)
            if not aeris.is_occupied(slot):
                raise DeviceError(
                    Fault.of(
                        FaultCode.MEASURE_NO_SAMPLE,
                        f"no sample stands at {goal.position}; expected {goal.sample_id}",
                    )
                )
        try:
            if attempt.note not in (STARTED, FETCHED):
                self._add(aeris, name, slot, goal.program)
                attempt.remember(STARTED)
                began_ns = self.time.now_ns()
                aeris.start_measurement(name, goal.program)
            attempt.step(f"measuring {goal.program}")
            if attempt.note != FETCHED:
                self._see_it_fetched(attempt, aeris, slot, goal.position)
                attempt.remember(FETCHED)
            path = self._wait_for_file(attempt, aeris, name, began_ns)
        except (AttemptCanceled, DeviceError):
            # The diffractometer has no command that ends a scan: it is safe when the scan is over,
            # and nobody may reach into it before.
            while not self._is_idle(aeris):
                attempt.wait(self._poll_s, cancelable=False)
            self._forget(aeris, name)
            raise
        try:
            result.pattern = keep(path.read_bytes(), self._data, ".xrdml", XRDML)
        except OSError as error:
            raise DeviceError(
                Fault.of(
                    FaultCode.MEASURE_FILE_MISSING,
                    f"{self.device.name}: the pattern cannot be kept in {self._data} "
                    f"({error.strerror}); make room or mount it",
                )
            ) from error
        finally:
            self._forget(aeris, name)

    def _add(self, aeris: Aeris, name: str, slot: int, program: str) -> None:
        """Tell the diffractometer of a sample.

        Where the slot is taken in its books, that is by a sample which an earlier process, or a
        broken connection, kept this node from taking back.
        """
        try:
            aeris.add_sample(name, slot, program)
        except DeviceError as error:
            if error.fault.code is not FaultCode.MEASURE_DEVICE_FAILED:
                raise
            for attempt_id in self.memory.recent(LEFT_BEHIND):
                with contextlib.suppress(DeviceError):
                    aeris.remove_sample(name_of(attempt_id))
            aeris.add_sample(name, slot, program)

    @staticmethod
    def _is_idle(aeris: Aeris) -> bool:
        """Whether the diffractometer says that nothing is under way."""
        try:
            return aeris.is_ready()
        except DeviceError:
            return False

    def _forget(self, aeris: Aeris, name: str) -> None:
        """Free the slot in the diffractometer's books, so that a further attempt can use it."""
        try:
            aeris.remove_sample(name)
        except DeviceError as error:
            self.get_logger().warning(str(error))

    def _see_it_fetched(self, attempt: Attempt, aeris: Aeris, slot: int, position: str) -> None:
        """See by the slot's sensor that it is this sample which is measured: the slot in an order
        is told back by nobody, and another sample's pattern must not pass for this one's.

        Raises:
            AttemptCanceled, DeviceError: MEASURE_DEVICE_FAILED (it did not leave it), or
                INTERRUPTED (all was over before anybody looked).
        """
        began_ns = self.time.now_ns()
        while True:
            waited_s = (self.time.now_ns() - began_ns) * 1e-9
            away = over = False
            try:
                away = not aeris.is_occupied(slot)
                over = attempt.resumed and not away and aeris.is_ready()
            except DeviceError:
                if waited_s > CONTACT_PATIENCE_S:
                    raise
            else:
                if away:
                    return
                if over:
                    raise DeviceError(
                        Fault.of(
                            FaultCode.INTERRUPTED,
                            f"{self.device.name} restarted around the start of a measurement; "
                            f"whether it was of the sample at {position} is not known",
                        )
                    )
                if waited_s > FETCH_PATIENCE_S:
                    raise DeviceError(
                        Fault.of(
                            FaultCode.MEASURE_DEVICE_FAILED,
                            f"{self.device.name}: the sample at {position} was not seen to leave "
                            "its slot, so it may be another one that is measured",
                        )
                    )
            attempt.wait(FETCH_LOOK_S)

    def _wait_for_file(self, attempt: Attempt, aeris: Aeris, name: str, began_ns: int) -> Path:
        limit = self.time.now_ns() + round(MEASURE_PATIENCE_S * 1e9)
        ready_since_ns = 0
        heard_ns = self.time.now_ns()
        while True:
            try:
                path, ready = aeris.result_path(name), aeris.is_ready()
                heard_ns = self.time.now_ns()
            except DeviceError:
                # A scan goes on without being looked at.
                if self.time.now_ns() - heard_ns > CONTACT_PATIENCE_S * 1e9:
                    raise
                path, ready = None, False
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
            # From its beginning on: however long the fetching was looked at, the end is met.
            poll_ns = round(self._poll_s * 1e9)
            attempt.wait_until(now + poll_ns - (now - began_ns) % poll_ns)

    def _analyse(
        self, attempt: Attempt, goal: AnalysePattern.Goal, result: AnalysePattern.Result
    ) -> None:
        attempt.step("finding phases")
        result.target_fraction = result.target_sigma = math.nan
        question = Question(
            pattern=path_of(goal.pattern),
            elements=tuple(goal.elements),
            phases=tuple(goal.phases),
            target=goal.target_phase,
            scan=scan_program_from(goal.scan),
            earlier=tuple(path_of(each) for each in goal.earlier),
            earlier_scans=tuple(filter(None, map(scan_program_from, goal.earlier_scans))),
            dispensed_mmol={
                each.element: (each.amount_mmol, each.sigma_mmol) for each in goal.dispensed
            },
            confirm=Confirm(goal.confirm),
            success_fraction=goal.success_fraction,
            programs=tuple(filter(None, map(scan_program_from, goal.programs))),
            budget_s=goal.budget_s,
        )
        asked = self._analyses.submit(self._analyst.ask, question)
        if self._analysis_s > 0:
            attempt.wait(self._analysis_s)
        answer = self._answer(asked)
        describe(answer.analysis, answer.target, result)
        result.fit = keep(_curves(answer.analysis), self._data, ".fit.csv", "text/csv")

    def _answer(self, asked: Future[Answer]) -> Answer:
        """Wait for an analysis; time stands meanwhile where it is simulated.

        Raises:
            DeviceError: there is none.
        """
        try:
            return asked.result(ANALYSE_PATIENCE_S)
        except PatternUnreadable as error:
            raise DeviceError(Fault.of(FaultCode.ANALYSE_FILE_UNREADABLE, str(error))) from error
        except NothingToFit as error:
            raise DeviceError(Fault.of(FaultCode.ANALYSE_NO_CANDIDATES, str(error))) from error
        except AnalystGone as error:
            raise DeviceError(Fault.of(FaultCode.PROCESS_DIED, str(error))) from error
        except TimeoutError as error:
            self._analyst.give_up()
            sentence = (
                f"{self.device.name}: no analysis within {ANALYSE_PATIENCE_S:g} s; look at the "
                "load of this computer"
            )
            raise DeviceError(Fault.of(FaultCode.DEADLINE_EXCEEDED, sentence)) from error


def name_of(attempt_id: str) -> str:
    """The one word by which the diffractometer knows an attempt's sample; never used twice."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "-", attempt_id)[-64:]


def _curves(analysis: Analysis) -> bytes:
    """Table of the fit: 2 theta, counts, calculated, background."""
    fit = analysis.fit
    table = np.column_stack(
        [fit.pattern.two_theta_deg, fit.pattern.counts, fit.calculated, fit.background]
    )
    rows = "%.4f,%.1f,%.2f,%.2f\n" * len(table) % tuple(table.ravel().tolist())
    return f"two_theta_deg,counts,calculated,background\n{rows}".encode()


def main() -> int:
    """Run the characterisation station."""
    return run_node(CharacterisationNode)
