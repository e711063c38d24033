"""The table of a chaos benchmark: kills by moment and victim, recovery, violations, ends."""

from __future__ import annotations

import os
import platform
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from chaos_kit.campaign import Record


def write_report(path: Path, records: Sequence[Record], seed: int) -> None:
    """Write the table.

    Args:
        path: of the file.
        records: of all campaigns.
        seed: of the benchmark.
    """
    kills = [kill for record in records for kill in record.kills]
    by_point: dict[str, Counter[str]] = defaultdict(Counter)
    recovery: dict[str, list[float]] = defaultdict(list)
    for kill in kills:
        by_point[kill.point][kill.victim] += 1
        if kill.recovery_s is not None:
            recovery[kill.victim].append(kill.recovery_s)
    misfortunes: Counter[str] = Counter()
    for record in records:
        misfortunes.update(record.misfortunes)
    violations = [item for record in records for item in record.violations]
    packages = " ".join(
        f"{name} {version(name)}" for name in ("eclipse-zenoh", "SQLAlchemy", "numpy")
    )
    lines = [
        "# Chaos",
        "",
        f"`python benchmarks/chaos.py --kills {len(kills)} --seed {seed}`: "
        f"{len(records)} campaigns, {sum(record.experiments for record in records)} experiments, "
        f"{len(kills)} kills (SIGKILL), {sum(record.full_disks for record in records)} full disks, "
        f"{sum(misfortunes.values())} misfortunes of instruments, "
        f"{sum(record.wall_s for record in records) / 60:.0f} min of wall time.",
        "",
        f"Python {platform.python_version()}, {packages}; {platform.machine()}, "
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} when this was written.",
        "",
        f"**{len(violations)} violations**: what {sum(record.facts for record in records)} entries "
        f"of the instruments' own logs say agrees with {sum(record.events for record in records)} "
        "events of the journals."
        if not violations
        else f"**{len(violations)} violations** (below).",
        "",
    ]
    lines += [f"- campaign: {kind}: {text}" for kind, text in violations]
    lines += [
        "## Recovery",
        "",
        "Steady seconds from the kill until the node takes work again; kills that were followed by "
        "another before are not counted.",
        "",
        *_table(
            ("victim", "kills", "median / s", "99 % / s", "longest / s"),
            (
                (
                    victim,
                    str(sum(kill.victim == victim for kill in kills)),
                    f"{statistics.median(values):.1f}",
                    f"{_share(values, 0.99):.1f}",
                    f"{max(values):.1f}",
                )
                for victim, values in sorted(recovery.items())
            ),
        ),
        "",
        "## Kills by moment",
        "",
        *_table(
            ("moment", "kills", "victims"),
            (
                (
                    point,
                    str(counts.total()) if hasattr(counts, "total") else str(sum(counts.values())),
                    ", ".join(f"{victim} {count}" for victim, count in counts.most_common()),
                )
                for point, counts in sorted(by_point.items())
            ),
        ),
        "",
        "## What instruments did wrong",
        "",
        *_table(("kind", "times"), ((k, str(n)) for k, n in sorted(misfortunes.items()))),
        "",
        "## How campaigns ended",
        "",
        *_table(
            ("end", "campaigns", "experiments", "measured"),
            (
                (
                    end,
                    str(len(found)),
                    str(sum(record.experiments for record in found)),
                    str(sum(record.measured for record in found)),
                )
                for end, found in _by_end(records).items()
            ),
        ),
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


def _by_end(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.end].append(record)
    return dict(sorted(found.items()))


def _share(values: Sequence[float], share: float) -> float:
    """The value that a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]
