"""Does a lab lose or repeat anything when its processes are killed? It is tried, and judged.

    python benchmarks/chaos.py --kills 500 --seed 0 [--work DIR] [--shard 1/2] [--no-report]

Virtual campaigns run one after another; in each, processes are ended by SIGKILL at named moments
and instruments misbehave. Then a checker compares what the instruments wrote down themselves with
the journal. Every campaign's verdict is kept in the work folder: what was done already is not done
again, and shards may run side by side with the same folder. With all kills done the table is
written to benchmarks/results/chaos.md.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from chaos_kit.campaign import ChaosCampaign, load_records
from chaos_kit.report import write_report

TRIES = 5
"""Labs in a row that do not come up, after which it is given up."""
RESULT = Path(__file__).resolve().parent / "results" / "chaos.md"


def main(arguments: list[str] | None = None) -> int:
    """Run it; 0 where no promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=500, help="in all campaigns together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--experiments", type=int, default=30, help="of one campaign")
    parser.add_argument("--per-campaign", type=int, default=45, help="kills in one campaign")
    parser.add_argument("--work", type=Path, default=Path("chaos"), help="folder of verdicts")
    parser.add_argument("--shard", default="1/1", help="which part of the campaigns: 1/2, 2/2")
    parser.add_argument("--no-misfortunes", action="store_true", help="only kills")
    parser.add_argument("--no-report", action="store_true", help="do not write results/chaos.md")
    given = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        # Also in the background of a shell, which has its children ignore them.
        signal.signal(number, lambda *_: sys.exit(130))
    shard, shards = (int(word) for word in given.shard.split("/"))
    work: Path = given.work / f"seed-{given.seed}"
    work.mkdir(parents=True, exist_ok=True)
    index = shard - 1
    failures = 0
    while True:
        records = load_records(work)
        mine = [record for record in records if record.index % shards == shard - 1]
        left = -(-given.kills // shards) - sum(len(record.kills) for record in mine)
        if left <= 0:
            break
        while any(record.index == index for record in records):
            index += shards
        campaign = ChaosCampaign(
            index,
            given.seed,
            min(left, given.per_campaign),
            given.experiments,
            work / f"shard-{shard}",
            misfortunes=not given.no_misfortunes,
            say=lambda line: print(line, flush=True),
        )
        record = campaign.run()
        if not record.kills and not record.experiments:
            # A port that was free was taken before it was used, as a rule.
            failures += 1
            print(f"campaign {index} did not come up ({record.end})", flush=True)
            if failures >= TRIES:
                return 2
            continue
        failures = 0
        record.save(work)
        print(
            f"campaign {record.index}: {len(record.kills)} kills, {record.measured} of "
            f"{record.experiments} measured, {record.wall_s:.0f} s, ended: {record.end}; "
            f"{len(record.violations)} violations",
            flush=True,
        )
        for kind, text in record.violations:
            print(f"  {kind}: {text}", flush=True)
        if record.violations or record.end != "budget done":
            campaign.path.parent.parent.rename(work / f"evidence-{record.index:04d}")
    records = load_records(work)
    if not given.no_report:
        write_report(RESULT, records, given.seed)
    return 1 if any(record.violations for record in records) else 0


if __name__ == "__main__":
    sys.exit(main())
