"""Analyses in a process of their own, so that who asks for one goes on answering meanwhile.

A refinement keeps a processor busy for a good part of a second, and Python lets one thread at a
time compute: in the asker's own process everything else would wait.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_words import Confirm
from matlab_ros.model.scan_program import ScanProgram

if TYPE_CHECKING:
    from matlab_ros.xrd.analyse import Analysis

_END_PATIENCE_S = 3.0


class PatternUnreadable(LabError):
    """The file of a pattern cannot be read."""


class NothingToFit(LabError):
    """The pattern can be read, and not be analysed."""


class AnalystGone(LabError):
    """The process that analyses ended, and so did the one that took its place."""


@dataclass(frozen=True)
class Question:
    """What is to be analysed.

    Attributes:
        pattern: file of the pattern.
        elements: that can be in the sample; see `matlab_ros.xrd.analyse.analyse`.
        phases: that are there; empty where they are searched.
        target: name or formula of a structure; empty for none.
        scan: that the pattern was measured with; None where nobody knows.
        earlier: patterns of the same sample that are added up with it.
        earlier_scans: that they were measured with.
        dispensed_mmol: amount and standard uncertainty of each element that was weighed in.
        confirm: when a second refinement is made.
        success_fraction: of the target, from which `Confirm.WHEN_SUCCESS` makes it.
        programs: that a further scan may be made with.
        budget_s: longest that it may take.
    """

    pattern: Path
    elements: tuple[str, ...]
    phases: tuple[str, ...]
    target: str = ""
    scan: ScanProgram | None = None
    earlier: tuple[Path, ...] = ()
    earlier_scans: tuple[ScanProgram, ...] = ()
    dispensed_mmol: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    confirm: Confirm = Confirm.NEVER
    success_fraction: float = 0.0
    programs: tuple[ScanProgram, ...] = ()
    budget_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What was found.

    Attributes:
        analysis: of the pattern.
        target: names under which the target can be among its phases.
    """

    analysis: Analysis
    target: frozenset[str]


class Analyst:
    """A process that answers one question after the other; any thread may ask.

    It ends with the process that asks, however that one ends, because its input does.

    Args:
        structures: folder of CIF files.
    """

    def __init__(self, structures: Path) -> None:
        self._structures = structures
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._given_up = False

    @property
    def pid(self) -> int | None:
        """Of the process; None where none runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Have the process load what it needs, so that the first question does not wait for it."""
        with self._lock:
            self._running()

    def ask(self, question: Question) -> Answer:
        """Ask, and wait for the answer.

        Raises:
            PatternUnreadable, NothingToFit: as their names say.
            AnalystGone: twice in a row the process ended without an answer.
        """
        with self._lock:
            self._given_up = False
            for _ in range(2):
                if self._given_up:
                    break
                with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
                    reply = self._exchange(question)
                    if isinstance(reply, LabError):
                        raise reply
                    return reply
                self._end()
        raise AnalystGone(
            f"The process that analyses patterns ended twice over {question.pattern}; look at the "
            "log and at the memory of this computer."
        )

    def give_up(self) -> None:
        """Have the question that is being answered end in `AnalystGone`."""
        process = self._process
        self._given_up = True
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _exchange(self, question: Question) -> Answer | LabError:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        pickle.dump(question, process.stdin)
        process.stdin.flush()
        return read_reply(process.stdout)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "matlab_ros.xrd.analyst_process", str(self._structures)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # The matrices are small: threads would spend their time waiting for each other.
                env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **os.environ},
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.terminate()
        try:
            process.wait(_END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_reply(stream: IO[bytes]) -> Answer | LabError:
    """A reply of the process.

    Raises:
        EOFError, UnpicklingError: it ended before or in the middle of it.
    """
    reply = pickle.load(stream)
    assert isinstance(reply, (Answer, LabError))
    return reply
