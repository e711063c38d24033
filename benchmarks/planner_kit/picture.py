"""Share of the top recipes found against experiments, a panel for every pool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

from planner_kit.pools import Pool
from planner_kit.replays import Memory

COLOURS = ("#0b6e4f", "#d95f02", "#7570b3", "#e7298a", "#666666", "#a6761d", "#1f78b4")


def draw(pools: list[Pool], memory: Memory, labels: Mapping[str, str], path: Path) -> None:
    """Draw the median number of experiments to every find, ours with its quartiles.

    Args:
        pools: a panel each.
        memory: of the replays.
        labels: planners to draw and what to call them, ours first.
        path: of the picture.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(pools), figsize=(4.2 * len(pools), 4.4))
    for panel, pool in zip(panels, pools, strict=True):
        top = len(pool.top)
        for (name, label), colour in zip(labels.items(), COLOURS, strict=False):
            runs = memory.runs(pool.name, name)
            if not runs:
                continue
            reached = min(len(run.found_at) for run in runs)
            found = np.array([run.found_at[:reached] for run in runs])
            low, middle, high = np.percentile(found, (25, 50, 75), axis=0)
            share = 100 * np.arange(1, reached + 1) / top
            ours = label == next(iter(labels.values()))
            panel.plot(
                middle,
                share,
                color=colour,
                linewidth=2.6 if ours else 1.3,
                zorder=3 if ours else 2,
                label=label,
            )
            if ours:
                panel.fill_betweenx(share, low, high, color=colour, alpha=0.15, linewidth=0)
        panel.set_title(f"{pool.name} ({pool.size} recipes)")
        panel.set_xlabel("experiments")
        panel.set_xscale("log")
        panel.set_xticks(
            [5, 10, 20, 50, 100, 200, 400], labels=["5", "10", "20", "50", "100", "200", "400"]
        )
        panel.set_xlim(2, 0.9 * pool.size)
        panel.minorticks_off()
        panel.set_ylim(0, 85)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("top recipes found, % (median over seeds)")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=4, frameon=False, fontsize=8.5)
    figure.tight_layout(rect=(0, 0.11, 1, 1))
    figure.savefig(path)
    pyplot.close(figure)
