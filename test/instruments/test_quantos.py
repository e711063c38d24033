"""The Quantos driver against the emulated balance: doses measured and never repeated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.instruments.line_reader import LineReader
from matlab_ros.instruments.mt_sics import WeightState, parse_weight
from matlab_ros.instruments.quantos import DoorState, DoseRequest, QuantosBalance
from matlab_ros.instruments.quantos_codes import QuantosCode, parse_head_data, quantos_fault
from matlab_ros.instruments.quantos_line import Job, JobState, parse_answer
from matlab_ros.model.faults import DeviceError, FaultCode
from matlab_ros.virtual.instruments.quantos import DosingHabits, DosingHead
from matlab_ros.virtual.instruments.quantos import QuantosBalance as Balance

CRUCIBLE_MG = 8123.4


class Bench:
    """The virtual world around the balance: a container, and powder that falls into it."""

    def __init__(self, seed: int = 5, **habits) -> None:
        self.container = True
        self.powder: list[tuple[str, float]] = []
        self.slot: int | None = 1
        self.commands: list[bytes] = []
        self.balance = Balance(
            {
                1: DosingHead("MgO", 50_000.0),
                2: DosingHead("TiO2 & <more>", 100.0),
                3: DosingHead("La2O3", 50_000.0, flow=0.05),
                4: DosingHead("Y2O3", 50_000.0, max_doses=0),
            },
            presented=lambda: self.slot,
            load=self.load,
            on_dosed=lambda substance, mass_mg: self.powder.append((substance, mass_mg)),
            rng=np.random.default_rng(seed),
            habits=DosingHabits(**habits),
        )
        self.now = 0.0
        self._receive = self.balance.receive
        self.balance.receive = self._record  # type: ignore[method-assign]

    def _record(self, data: bytes) -> bytes:
        self.commands += data.split(b"\r\n")
        return self._receive(data)

    def load(self) -> float | None:
        return CRUCIBLE_MG + sum(mass for _, mass in self.powder) if self.container else None

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.balance.advance_to(self.now)

    def finish(self) -> None:
        """Let whatever is under way come to its end."""
        while (moment := self.balance.next_moment()) is not None:
            self.now = moment
            self.balance.advance_to(moment)


@pytest.fixture
def bench() -> Bench:
    return Bench(overshoot_probability=0.0)


@pytest.fixture
def terminal(plug, bench):
    return plug(bench.balance, "balance")


@pytest.fixture
def driver(terminal, transport_to, bench) -> QuantosBalance:
    bench.pass_time(10)
    bench.finish()
    return QuantosBalance(transport_to(terminal.url), deadline_s=1.0)


def mount(driver: QuantosBalance, bench: Bench, slot: int) -> None:
    bench.slot = slot
    driver.lock_head()
    bench.finish()
    assert driver.poll(Job.HEAD_PIN).state is JobState.DONE


def fault_of(call, *arguments):
    with pytest.raises(DeviceError) as caught:
        call(*arguments)
    return caught.value.fault


def test_a_dose_is_weighed(driver, bench) -> None:
    mount(driver, bench, 1)
    assert driver.head_data().substance == "MgO"
    assert driver.container_present()
    driver.tare()
    assert driver.stable_mass_mg() == 0
    driver.prepare_dose(DoseRequest(300.0, 1.5, "trial-e0001-s1"))
    driver.start_dosing()
    assert driver.poll().state is JobState.RUNNING
    bench.pass_time(30)
    assert driver.poll().state is JobState.RUNNING
    weight = driver.weigh()
    assert weight.state is WeightState.DYNAMIC
    assert 50 < weight.mass_mg < 250
    bench.finish()
    assert driver.poll().state is JobState.DONE
    ((substance, true_mg),) = bench.powder
    assert substance == "MgO"
    assert true_mg == pytest.approx(300, abs=2)
    assert true_mg != 300
    assert driver.stable_mass_mg() == pytest.approx(true_mg, abs=0.1)
    last = driver.last_dose()
    assert (last.substance, last.sample_id) == ("MgO", "trial-e0001-s1")
    assert last.content_mg == pytest.approx(true_mg, abs=0.01)
    head = driver.head_data()
    assert (head.content_mg, head.doses) == (50_000, 1)
    assert head.remaining_mg == pytest.approx(50_000 - true_mg, abs=0.01)


def test_a_load_needs_time_to_be_stable(driver, bench) -> None:
    bench.container = False
    bench.pass_time(1)
    assert driver.weigh().state is WeightState.DYNAMIC
    assert not driver.container_present()
    assert fault_of(driver.tare).retryable
    assert fault_of(driver.stable_mass_mg).code is FaultCode.DISPENSE_UNSTABLE_BALANCE
    bench.pass_time(5)
    assert driver.stable_mass_mg() == pytest.approx(0, abs=0.1)


def test_asking_twice_gives_the_same_weight(driver) -> None:
    assert len({driver.stable_mass_mg() for _ in range(10)}) == 1


def test_a_missing_pan_is_no_weight(driver, bench) -> None:
    bench.balance.cell.pan_missing = True
    assert math.isnan(driver.weigh().mass_mg)
    fault = fault_of(driver.stable_mass_mg)
    assert (fault.code, fault.retryable) == (FaultCode.DISPENSE_UNSTABLE_BALANCE, False)


def test_lost_reply_to_the_start_does_not_repeat_the_dose(driver, bench, terminal) -> None:
    mount(driver, bench, 1)
    driver.prepare_dose(DoseRequest(100.0, 1.0, "s1"))
    terminal.faults.drop_replies = 1
    fault = fault_of(driver.start_dosing)
    assert fault.code is FaultCode.DEADLINE_EXCEEDED
    assert not fault.retryable
    assert fault.sample_compromised
    assert fault_of(driver.start_dosing).code is FaultCode.DEVICE_BUSY
    bench.finish()
    assert driver.poll().state is JobState.DONE
    assert bench.commands.count(b"QRA 61 1") == 1
    assert len(bench.powder) == 1


def test_a_start_that_never_arrived_is_unknown_until_it_is_stopped(driver, bench) -> None:
    mount(driver, bench, 1)
    driver.prepare_dose(DoseRequest(100.0, 1.0, "s1"))
    receive = bench.balance.receive
    bench.balance.receive = lambda data: b""
    assert not fault_of(driver.start_dosing).retryable
    bench.balance.receive = receive
    assert driver.poll().state is JobState.UNKNOWN
    assert fault_of(driver.start_dosing).code is FaultCode.DEVICE_BUSY
    driver.stop_dosing()
    assert driver.poll().state is JobState.FAILED
    driver.start_dosing()
    bench.finish()
    assert driver.poll().state is JobState.DONE
    assert len(bench.powder) == 1


def test_an_end_that_comes_amid_other_commands_is_the_doses(driver, bench, terminal) -> None:
    mount(driver, bench, 1)
    driver.prepare_dose(DoseRequest(100.0, 1.0, "s1"))
    driver.start_dosing()
    receive = bench.balance.receive

    def dose_ends_just_before_the_reply(data: bytes) -> bytes:
        bench.balance.receive = receive
        bench.finish()
        return receive(data)

    bench.balance.receive = dose_ends_just_before_the_reply
    assert driver.door() is DoorState.CLOSED
    assert driver.poll().state is JobState.DONE


def test_an_older_doses_end_is_not_the_new_ones(driver, bench, terminal) -> None:
    mount(driver, bench, 1)
    driver.prepare_dose(DoseRequest(100.0, 1.0, "s1"))
    terminal.send(b"QRA 61 1 A\r\n")
    terminal.faults.garbage_before = b"QRA 61 1 A\r\n"
    driver.start_dosing()
    terminal.faults.garbage_before = b""
    assert driver.poll().state is JobState.RUNNING
    bench.finish()
    assert driver.poll().state is JobState.DONE


def test_a_restarted_driver_does_not_take_an_old_end_for_its_own(
    driver, bench, terminal, transport_to
) -> None:
    mount(driver, bench, 1)
    driver.prepare_dose(DoseRequest(100.0, 1.0, "old"))
    driver.start_dosing()
    driver.close()
    fresh = QuantosBalance(transport_to(terminal.url), deadline_s=1.0)
    assert fresh.poll().state is JobState.NONE
    fault = fault_of(fresh.start_dosing)
    assert (fault.code, fault.sample_compromised) == (FaultCode.DEVICE_BUSY, False)
    bench.finish()
    assert fresh.poll().state is JobState.NONE
    assert fresh.last_dose().sample_id == "old"
    assert len(bench.powder) == 1


def test_stop_leaves_what_has_fallen(driver, bench) -> None:
    mount(driver, bench, 1)
    driver.tare()
    driver.prepare_dose(DoseRequest(300.0, 1.0, "s1"))
    driver.start_dosing()
    bench.pass_time(23)
    driver.stop_dosing()
    status = driver.poll()
    assert status.state is JobState.FAILED
    assert status.fault is not None
    assert status.fault.code is FaultCode.CANCELED
    assert not status.fault.retryable
    bench.finish()
    assert bench.powder[0][1] == pytest.approx(100, abs=2)
    assert driver.stable_mass_mg() == pytest.approx(bench.powder[0][1], abs=0.1)
    driver.stop_dosing()
    assert driver.poll() == status


def test_an_end_lost_on_the_wire_is_found_out_by_stopping(driver, bench, terminal) -> None:
    mount(driver, bench, 1)
    driver.prepare_dose(DoseRequest(100.0, 1.0, "s1"))
    driver.start_dosing()
    terminal.faults.drop_replies = 1
    bench.finish()
    assert driver.poll().state is JobState.RUNNING
    driver.stop_dosing()
    status = driver.poll()
    assert status.fault is not None
    assert (status.state, status.fault.code) == (JobState.FAILED, FaultCode.INTERRUPTED)
    assert status.fault.sample_compromised


@pytest.mark.parametrize("slot", [2, 3])
def test_an_empty_or_blocked_head_is_a_powder_flow_fault(driver, bench, slot: int) -> None:
    mount(driver, bench, slot)
    driver.prepare_dose(DoseRequest(400.0, 4.0, "s1"))
    driver.start_dosing()
    bench.finish()
    status = driver.poll()
    assert status.state is JobState.FAILED
    assert status.fault is not None
    assert status.fault.code is FaultCode.DISPENSE_POWDER_FLOW
    assert status.fault.sample_compromised
    assert not status.fault.retryable
    assert sum(mass for _, mass in bench.powder) < 400
    assert (driver.head_data().remaining_mg == 0) == (slot == 2)


def test_refusals_before_anything_falls(driver, bench) -> None:
    driver.prepare_dose(DoseRequest(100.0, 1.0, "s1"))
    assert fault_of(driver.start_dosing).code is FaultCode.DEVICE_NOT_ACTIVE
    assert fault_of(driver.head_data).code is FaultCode.DEVICE_NOT_ACTIVE
    mount(driver, bench, 4)
    fault = fault_of(driver.start_dosing)
    assert (fault.code, fault.sample_compromised) == (FaultCode.DISPENSE_HEAD_EMPTY, False)
    bench.container = False
    driver.unlock_head()
    bench.finish()
    mount(driver, bench, 1)
    assert fault_of(driver.start_dosing).code is FaultCode.DEVICE_NOT_ACTIVE
    assert driver.poll().state is JobState.NONE
    assert not bench.powder


def test_no_dose_through_an_open_door(driver, bench) -> None:
    mount(driver, bench, 1)
    driver.prepare_dose(DoseRequest(100.0, 1.0, "s1"))
    driver.open_door()
    assert driver.door() is DoorState.RUNNING
    assert fault_of(driver.unlock_head).code is FaultCode.DEVICE_BUSY
    bench.finish()
    assert driver.poll(Job.DOOR).state is JobState.DONE
    assert driver.door() is DoorState.OPEN
    assert fault_of(driver.start_dosing).code is FaultCode.DEVICE_NOT_ACTIVE
    driver.close_door()
    bench.finish()
    driver.start_dosing()


def test_locking_where_no_head_is_fails(driver, bench) -> None:
    bench.slot = None
    driver.lock_head()
    bench.finish()
    status = driver.poll(Job.HEAD_PIN)
    assert status.fault is not None
    assert (status.state, status.fault.code) == (JobState.FAILED, FaultCode.DEVICE_NOT_ACTIVE)


@pytest.mark.parametrize(
    "request_",
    [
        DoseRequest(0.05, 1, "s"),
        DoseRequest(250_001, 1, "s"),
        DoseRequest(math.nan, 1, "s"),
        DoseRequest(100, 0, "s"),
        DoseRequest(100, math.nan, "s"),
        DoseRequest(100, 1, ""),
        DoseRequest(100, 1, "s\r\nQRA 61 1"),
        DoseRequest(100, 1, "größe"),
    ],
)
def test_a_request_the_unit_cannot_take_is_not_sent(driver, bench, request_) -> None:
    assert fault_of(driver.prepare_dose, request_).code is FaultCode.INVALID_GOAL
    assert not any(command.startswith(b"QRD 1 1") for command in bench.commands)


def test_tolerance_is_rounded_towards_the_stricter(driver, bench) -> None:
    driver.prepare_dose(DoseRequest(300.0, 0.89, "a-very-long-campaign-name-e0001-s1"))
    assert b"QRD 1 1 6 0.2" in bench.commands
    assert b"QRD 1 1 8 mpaign-name-e0001-s1" in bench.commands


def test_same_seed_same_doses_however_often_one_looks(plug, transport_to) -> None:
    def doses(looks: int, name: str) -> list[tuple[str, float]]:
        bench = Bench(seed=9)
        terminal = plug(bench.balance, name)
        bench.pass_time(10)
        driver = QuantosBalance(transport_to(terminal.url), deadline_s=5.0)
        mount(driver, bench, 1)
        driver.prepare_dose(DoseRequest(100.0, 1.0, "s1"))
        for _ in range(5):
            driver.start_dosing()
            for _ in range(looks):
                driver.weigh()
            bench.finish()
            assert driver.poll().state is JobState.DONE
        return bench.powder

    assert doses(0, "one") == doses(7, "two")


def test_identifies_itself_and_silence_is_unreachable(driver, terminal) -> None:
    assert driver.identify() == "B428123456"
    terminal.faults.mute = True
    fault = fault_of(driver.weigh)
    assert fault.code is FaultCode.DEVICE_UNREACHABLE
    assert str(terminal.path) in fault.message
    terminal.faults.mute = False
    assert driver.weigh().stable


def test_garbage_on_the_line_is_survived(driver, terminal) -> None:
    terminal.faults.garbage_before = b"\x00\xff\xfe noise\r\n\r\n\n"
    terminal.faults.garbage_after = b"S S nonsense g\r\nQRA 99 9 A\r\n"
    for _ in range(3):
        assert driver.stable_mass_mg() == pytest.approx(CRUCIBLE_MG, abs=0.1)
    terminal.faults.garbage_before = b""
    terminal.faults.corrupt_replies = 1
    assert fault_of(driver.weigh).code in (
        FaultCode.DEVICE_UNREACHABLE,
        FaultCode.PROTOCOL_ERROR,
    )
    assert driver.weigh().stable


@pytest.mark.parametrize(
    ("line", "state", "mass_mg"),
    [
        ("S S     100.00 g", WeightState.STABLE, 100_000.0),
        ("S D      -1.5 mg", WeightState.DYNAMIC, -1.5),
        ("S S 0.00123 kg", WeightState.STABLE, 1230.0),
        ("S I", WeightState.BUSY, None),
        ("S +", WeightState.OVERLOAD, None),
        ("S -", WeightState.UNDERLOAD, None),
    ],
)
def test_weights_are_read(line: str, state: WeightState, mass_mg: float | None) -> None:
    weight = parse_weight(line, "S")
    assert weight is not None
    assert weight.state is state
    if mass_mg is None:
        assert math.isnan(weight.mass_mg)
    else:
        assert weight.mass_mg == pytest.approx(mass_mg)


@pytest.mark.parametrize(
    "line",
    ["", "S", "S S", "S S 1.0", "S S 1.0 lb", "S S 1e5 g", "S S nan g", "T S 1.0 g", "S S 1,0 g"],
)
def test_what_is_no_weight_is_none(line: str) -> None:
    assert parse_weight(line, "S") is None


@given(st.text(max_size=60))
def test_random_lines_raise_nothing(line: str) -> None:
    parse_weight(line, "S")
    parse_weight("S " + line, "S")
    parse_answer(line)
    parse_answer("QRA 61 1 " + line)


@given(st.text(max_size=300))
def test_random_head_data_raise_only_ours(text: str) -> None:
    for document in (
        text,
        f"<Info_head>{text}</Info_head>",
        f"<a><Substance>{text}</Substance></a>",
    ):
        try:
            assert parse_head_data(document, "balance").substance
        except DeviceError as error:
            assert error.fault.code is FaultCode.PROTOCOL_ERROR  # noqa: PT017


def test_entities_in_head_data_are_refused() -> None:
    text = '<!DOCTYPE a [<!ENTITY b "c">]><a><Substance>&b;</Substance></a>'
    with pytest.raises(DeviceError, match="entities"):
        parse_head_data(text, "balance")


@given(st.integers(0, 999))
def test_every_code_has_a_fault_and_a_begun_dose_is_never_retryable(code: int) -> None:
    before = quantos_fault("balance", "dosing", code, powder_may_have_fallen=False)
    after = quantos_fault("balance", "dosing", code, powder_may_have_fallen=True)
    assert before.code is after.code
    assert not after.retryable
    assert after.sample_compromised
    assert (before.code is FaultCode.PROTOCOL_ERROR) == (code not in set(QuantosCode))


class Feed:
    """A transport that delivers bytes in given pieces."""

    name, is_open, ended, silence_s = "feed", True, False, 0.0

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = list(pieces)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, wait_s: float) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def discard_input(self) -> None: ...


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=20))
def test_random_bytes_are_lines_or_nothing(pieces: list[bytes]) -> None:
    reader = LineReader(Feed(pieces))
    for _ in range(500):
        line = reader.next_line(0.0)
        assert line is None or ("\n" not in line and line)


@given(st.lists(st.text("ABCSD 0123.g", min_size=1).filter(str.strip), max_size=8), st.data())
def test_lines_do_not_depend_on_how_bytes_arrive(lines: list[str], data) -> None:
    stream = "".join(f"{line}\r\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    feed = Feed([piece for piece in pieces if piece])
    reader = LineReader(feed)
    heard = []
    while (line := reader.next_line(0.0)) is not None or feed.pieces:
        if line is not None:
            heard.append(line)
    assert heard == lines


def test_endless_line_is_a_protocol_error() -> None:
    reader = LineReader(Feed([b"x" * 70_000]))
    assert fault_of(reader.next_line, 0.0).code is FaultCode.PROTOCOL_ERROR
