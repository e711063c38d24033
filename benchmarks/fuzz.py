"""Random bytes into every parser, driver and emulator: no exception that is not ours, and no hang.

    python benchmarks/fuzz.py [--seconds 600] [--seed 0] [--engine hypothesis|atheris]
                              [--targets NAME ...] [--list] [--no-report]

hypothesis is the default; atheris, where it installs (pip install atheris), counts which edges of
our code an input reaches and goes on from those that reach new ones. The time is divided among the
targets. The table is written to benchmarks/results/fuzz.md.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import platform
import sys
from pathlib import Path

RESULT = Path(__file__).resolve().parent / "results" / "fuzz.md"
_ATHERIS = "--atheris-target"


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 where nothing was found."""
    from fuzz_kit.engines import Finding, by_atheris, by_hypothesis
    from fuzz_kit.targets import targets

    known = targets()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("hypothesis", "atheris"), default="hypothesis")
    parser.add_argument("--targets", nargs="+", choices=sorted(known), default=list(known))
    parser.add_argument("--list", action="store_true", help="the targets there are")
    parser.add_argument("--no-report", action="store_true", help="do not write the table")
    given = parser.parse_args(arguments)
    if given.list:
        print("\n".join(known))
        return 0
    each_s = given.seconds / len(given.targets)
    findings: list[Finding] = []
    for name in given.targets:
        if given.engine == "atheris":
            found = by_atheris(name, each_s, given.seed, Path(__file__).resolve())
        else:
            found = by_hypothesis(known[name], each_s, given.seed)
        findings.append(found)
        print(row(found), flush=True)
        if found.problem:
            print(found.problem, flush=True)
    text = report(findings, given.engine, given.seconds, given.seed)
    if not given.no_report:
        RESULT.write_text(text, encoding="utf-8")
    return 1 if any(found.problem for found in findings) else 0


def row(found: Finding) -> str:  # noqa: F821 (imported where atheris may instrument it)
    """One target's line of the table."""
    covered = "–" if found.covered is None else str(found.covered)
    problem = found.problem.strip().splitlines()[-1][:100] if found.problem else "nothing"
    return f"| {found.name} | {found.inputs} | {found.seconds:.0f} | {covered} | {problem} |"


def report(findings: list[Finding], engine: str, seconds: float, seed: int) -> str:  # noqa: F821
    """The table with where and how it was made."""
    total = sum(found.inputs for found in findings)
    bad = sum(bool(found.problem) for found in findings)
    return "\n".join(
        [
            "# Random bytes into every parser",
            "",
            f"`python benchmarks/fuzz.py --engine {engine} --seconds {seconds:g} --seed {seed}`, "
            f"{engine} {importlib.metadata.version(engine)}, {platform.machine()}, Python "
            f"{platform.python_version()}: {total} inputs, {bad} of {len(findings)} targets with "
            "an exception that is not ours, or a hang (an input of more than 5 s).",
            "",
            "A driver's target makes one call on a wire that says these bytes; an emulator's says "
            "them to one instrument that lives through all of them. *Edges* are those of our code "
            "that were reached, as atheris counts them.",
            "",
            "| target | inputs | seconds | edges | found |",
            "|---|---:|---:|---:|---|",
            *map(row, findings),
            "",
        ]
    )


def fuzz_one(name: str, arguments: list[str]) -> None:
    """Have atheris try one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["matlab_ros"]):
        from fuzz_kit.targets import targets
    run = targets()[name].run
    atheris.Setup([sys.argv[0], *arguments], run)
    atheris.Fuzz()


if __name__ == "__main__":
    # Everything that is said is wrong, and all of it would be told.
    logging.disable(logging.CRITICAL)
    if sys.argv[1:2] == [_ATHERIS]:
        fuzz_one(sys.argv[2], sys.argv[3:])
    sys.exit(main())
