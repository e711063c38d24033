"""How long does it take from a cancel or an emergency stop to the safe command on the wire?

    python benchmarks/safe_stop.py [--repetitions 200] [--devices NAME ...] [--no-report]

Each device's node is a process of its own in real time, on a graph of its own; the other end of its
wire is in this process, which also calls. Both moments are of one clock: when the call is made, and
when the bytes of the safe command (for the arm: the cancel of the movement) have arrived. A stop
comes at a random moment of a poll period. The table is written to benchmarks/results/safe_stop.md.
"""

from __future__ import annotations

import argparse
import platform
import random
import sys
import tempfile
from pathlib import Path

from safe_stop_kit.bench import Bench
from safe_stop_kit.rigs import RIGS
from safe_stop_kit.table import Row, report

RESULT = Path(__file__).resolve().parent / "results" / "safe_stop.md"


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 where every p99 is below the aim."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=200, help="of each kind of stop")
    parser.add_argument("--devices", nargs="+", choices=sorted(RIGS), default=list(RIGS))
    parser.add_argument("--no-report", action="store_true", help="do not write the table")
    given = parser.parse_args(arguments)
    rows: list[Row] = []
    for name in given.devices:
        with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
            rig = RIGS[name](bench)
            try:
                for kind in ("cancel", "emergency stop"):
                    chance = random.Random(f"{name} {kind}")
                    delays = [
                        rig.stop(number, kind == "cancel", chance)
                        for number in range(given.repetitions)
                    ]
                    rows.append(Row(name, kind, rig.command, delays))
                    print(rows[-1].line(), flush=True)
            finally:
                rig.close()
    text = report(rows, platform.platform())
    print(f"\n{text}")
    if not given.no_report:
        RESULT.write_text(text, encoding="utf-8")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
