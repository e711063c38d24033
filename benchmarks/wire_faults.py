"""Does a driver take a wrong value for right, or dose twice, on a wire that damages its bytes?

    python benchmarks/wire_faults.py [--commands 2000] [--seed 0] [--drivers NAME ...] [--no-report]

Each driver talks to its emulator through a pseudo-terminal or a socket. On the way one byte in a
hundred, each way, has a bit flipped, is lost, doubled, late, or preceded by a stray one; messages
are cut in half, other units answer first, connections hang up, adapters are pulled out, and the
instrument restarts. A judge looks into the emulator after every command that the driver calls done.
The table is written to benchmarks/results/wire_faults.md.
"""

from __future__ import annotations

import argparse
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wire_faults_kit.campaign import Outcome, run
from wire_faults_kit.cases import CASES

RESULT = Path(__file__).resolve().parent / "results" / "wire_faults.md"


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 where no promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--commands", type=int, default=2000, help="of each driver")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drivers", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument("--at-once", type=int, default=4, help="drivers side by side: they wait")
    parser.add_argument("--no-report", action="store_true", help="do not write the table")
    given = parser.parse_args(arguments)
    with ThreadPoolExecutor(given.at_once) as pool:
        futures = [pool.submit(run, name, given.commands, given.seed) for name in given.drivers]
        outcomes = []
        for future in futures:
            outcome = future.result()
            outcomes.append(outcome)
            print(row(outcome), flush=True)
            for violation in outcome.violations[:10]:
                print(f"    {violation}", flush=True)
    broken = sum(len(outcome.violations) for outcome in outcomes)
    text = report(outcomes, given.commands, given.seed)
    print(f"\n{text}")
    if not given.no_report:
        RESULT.write_text(text, encoding="utf-8")
    return 1 if broken else 0


def row(outcome: Outcome) -> str:
    """One driver's line of the table."""
    faults = ", ".join(f"{count} {name}" for name, count in outcome.faults.most_common())
    damaged = outcome.happened["damaged bytes"] + outcome.happened["half messages"]
    return (
        f"| {outcome.name} | {outcome.commands} | {damaged} | {outcome.done} "
        f"| {faults or 'none'} | {len(outcome.violations)} "
        f"| {outcome.slowest_s:.2f} of {outcome.bound_s:.1f} |"
    )


def report(outcomes: list[Outcome], commands: int, seed: int) -> str:
    """The table with where and how it was made."""
    lines = [
        "# Drivers on a damaged wire",
        "",
        f"`python benchmarks/wire_faults.py --commands {commands} --seed {seed}`, "
        f"{platform.machine()}, Python {platform.python_version()}.",
        "",
        "One byte in a hundred, each way, is damaged; one message in a hundred is cut; one answer "
        "in a hundred is preceded by another unit's (Modbus); adapters are pulled and instruments "
        "restart. *Broken*: a wrong value taken for right, a dose given twice or called repeatable "
        "after it fell, another sample measured than was ordered, an order called done and not "
        "carried out, a command beyond its bound.",
        "",
        "| driver | commands | damaged messages | done | ended in a typed fault | broken "
        "| slowest command, s |",
        "|---|---|---|---|---|---|---|",
        *map(row, outcomes),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
