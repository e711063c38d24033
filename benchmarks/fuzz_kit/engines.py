"""Two ways to try a target: hypothesis everywhere, atheris (coverage decides) where it installs."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz_kit.targets import WORDS, Target, said_as

AT_ONCE = 500
"""Inputs of hypothesis between two looks at the clock."""
LONGEST_S = 5.0
"""An input that takes longer hangs."""
_DONE = re.compile(r"Done (\d+) runs? in (\d+) second")
_COVERED = re.compile(r"cov: (\d+)")


@dataclass(frozen=True)
class Finding:
    """What became of one target.

    Attributes:
        name: of the target.
        inputs: how many were tried.
        seconds: for how long.
        covered: edges of our code that were reached; None where nobody counts.
        problem: the traceback of what was raised and is not ours; empty where nothing was.
    """

    name: str
    inputs: int
    seconds: float
    covered: int | None
    problem: str


def inputs() -> st.SearchStrategy[bytes]:
    """Bytes that are words and noise by turns, or noise alone."""
    words = st.sampled_from(WORDS)
    said = st.lists(st.one_of(st.binary(min_size=1, max_size=30), words), max_size=12).map(said_as)
    both = st.tuples(st.binary(min_size=2, max_size=2), said).map(b"".join)
    return st.one_of(both, said, st.binary(max_size=300))


def by_hypothesis(target: Target, seconds: float, first_seed: int) -> Finding:
    """Try a target for some time."""
    began = time.monotonic()
    count, slowest = 0, 0.0

    def one(data: bytes) -> None:
        nonlocal count, slowest
        since = time.monotonic()
        target.run(data)
        count += 1
        slowest = max(slowest, time.monotonic() - since)

    number, problem = first_seed, ""
    while not problem and time.monotonic() - began < seconds:
        trial = settings(
            max_examples=AT_ONCE,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )(seed(number)(given(inputs())(one)))
        number += 1
        try:
            trial()
        except Exception:
            problem = traceback.format_exc()
    if not problem and slowest > LONGEST_S:
        problem = f"an input took {slowest:.1f} s"
    return Finding(target.name, count, time.monotonic() - began, None, problem)


def by_atheris(name: str, seconds: float, first_seed: int, script: Path) -> Finding:
    """Try a target for some time, in a process of its own: atheris ends the one it is in."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, word in enumerate(WORDS):
            (corpus / f"{number}").write_bytes(bytes([number, 0, number]) + said_as([word]))
        command = [
            *(sys.executable, str(script), "--atheris-target", name),
            *(f"-max_total_time={round(seconds)}", f"-seed={first_seed + 1}"),
            *(f"-timeout={LONGEST_S:g}", f"-artifact_prefix={folder}/", "-max_len=400"),
            *("-print_final_stats=0", str(corpus)),
        ]
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
        said = ended.stdout + ended.stderr
        done = _DONE.search(said)
        covered = [int(number) for number in _COVERED.findall(said)]
        problem = "" if ended.returncode == 0 and done else _last(said, Path(folder))
    runs, took = (int(done[1]), float(done[2])) if done else (0, seconds)
    return Finding(name, runs, took, max(covered, default=0), problem)


def _last(said: str, folder: Path) -> str:
    """The traceback, and the bytes that led to it."""
    crashes = [path for path in folder.iterdir() if path.is_file()]
    bytes_of = [path.read_bytes().hex(" ") for path in crashes]
    return "\n".join([*said.splitlines()[-25:], *bytes_of])
