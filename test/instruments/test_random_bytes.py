"""Random bytes into every driver, emulator and parser: no exception that is not ours, and no hang;
benchmarks/fuzz.py goes on for longer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from fuzz_kit.engines import by_hypothesis, inputs  # noqa: E402
from fuzz_kit.targets import WORDS, Target, pieces_of, said_as, targets  # noqa: E402

TARGETS = targets()


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=inputs())
def test_nothing_is_raised_but_ours(name: str, data: bytes) -> None:
    TARGETS[name].run(data)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=100), st.sampled_from(WORDS))))
def test_what_is_to_be_said_is_said(pieces: list[bytes]) -> None:
    assert pieces_of(said_as(pieces)) == pieces


def test_a_planted_mistake_is_found() -> None:
    def run(data: bytes) -> None:
        if b"QRA" in b"".join(pieces_of(data)):
            raise KeyError("planted")

    found = by_hypothesis(Target("planted", run), 60.0, 0)
    assert "planted" in found.problem
