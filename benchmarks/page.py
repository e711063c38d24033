"""How smoothly the live page draws: 20 readings a second beside ten thousand experiments.

    python benchmarks/page.py [--experiments 10000] [--seconds 30]

A server of the page with made-up values, a headless Chromium that shows it. Counted are the page's
own pictures (requestAnimationFrame) and how long the page is busy at a stretch. Twenty times a
second both furnaces' readings and the arm's pose change, once a second an experiment does.
Writes benchmarks/results/page.md.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import platform
import shutil
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import load_lab
from matlab_ros.monitor.access import Access, Person, Role
from matlab_ros.monitor.live import LiveValues
from matlab_ros.monitor.web import MonitorServer
from matlab_ros.nodes.monitor_view import map_values
from matlab_ros.share import config_file

RESULTS = Path(__file__).parent / "results"
COUNT = """() => {
    window.gaps = []; window.busy = [];
    let last = performance.now();
    const next = (now) => {
        window.gaps.push(now - last); last = now; requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
    const note = (list) => list.getEntries().forEach((entry) => window.busy.push(entry.duration));
    new PerformanceObserver(note).observe({ entryTypes: ["longtask"] });
}"""


def experiment(number: int) -> dict[str, Any]:
    """One row."""
    return {
        "state": "succeeded",
        "settings": {"temperature_c": 700.0 + number % 500, "precursors": f"set {number % 7}"},
        "step": "",
        "objective": (number * 37 % 1000) / 1000,
        "paused": False,
        "canceling": False,
        "asking": False,
    }


def live(values: LiveValues, count: int, stop: threading.Event) -> None:
    """What a lab would say."""
    state = {"lab": "virtual_lab", "campaign": "many", "budget": 2 * count, "succeeded": count}
    state |= {"failed": 0, "in_flight": 8, "best": 0.999, "best_id": "many-e00027", "paused": False}
    state |= {"paused_names": [], "canceling": False, "estopped": False, "open_faults": 0}
    values.put("link", "lab", {"heard": True})
    values.put("map", "lab", map_values(load_lab(config_file("labs", "virtual_lab"))))
    for number in range(count):
        values.put("experiments", f"many-e{number:05}", experiment(number))
    tick = 0
    while not stop.wait(0.05):
        tick += 1
        now = 1e9 + 0.05 * tick
        for furnace in ("furnace_1", "furnace_2"):
            celsius = 800 + 300 * math.sin(tick / 200)
            values.put("measured", furnace, {"time_s": now, "celsius": celsius})
            values.put("setpoint", furnace, {"celsius": celsius + 2})
        x = 4 + 3 * math.sin(tick / 100)
        values.put("arm", "pose", {"x": x, "y": 0.0, "yaw": 1.57, "tool": [x, 0.6]})
        if tick % 20 == 0:
            values.put("lab", "state", {**state, "time_s": now, "questions": 0})
            values.put("experiments", f"many-e{tick % count:05}", experiment(tick * 13))


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    values, stop, ready = LiveValues(), threading.Event(), threading.Event()
    everybody = Access(everybody=Person("benchmark", Role.OPERATOR))

    def nothing() -> Any:
        raise LabError("There is no journal here.")

    server = MonitorServer(values, nothing, dict, lambda _: "", everybody, port=0)
    loop = asyncio.new_event_loop()
    task = loop.create_task(server.run(lambda _: ready.set()))
    serving = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])))
    serving.start()
    speaking = threading.Thread(target=live, args=(values, options.experiments, stop))
    speaking.start()
    assert ready.wait(20)
    with sync_playwright() as kit:
        browser = kit.chromium.launch(
            executable_path=shutil.which("chromium") or None, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        began = time.monotonic()
        page.goto(server.address)
        page.get_by_text(str(options.experiments), exact=True).first.wait_for(timeout=60_000)
        shown_s = time.monotonic() - began
        page.wait_for_timeout(3000)
        page.evaluate(COUNT)
        page.wait_for_timeout(options.seconds * 1000)
        gaps, busy = page.evaluate("() => [window.gaps.slice(1), window.busy]")
        chromium = browser.version
        browser.close()
    stop.set()
    loop.call_soon_threadsafe(task.cancel)
    speaking.join()
    serving.join()
    p50, p95, p99, most = (*np.percentile(gaps, (50, 95, 99)), max(gaps))
    lines = [
        "## The live page",
        "",
        f"{options.experiments} experiments in the table; twenty times a second two readings, two "
        "set points and the arm's pose change, once a second an experiment and the lab's state. "
        f"{options.seconds:g} s in a headless Chromium {chromium} without a graphics card, on the "
        "machine that also serves.",
        "",
        f"aiohttp {version('aiohttp')}, Python {platform.python_version()}.",
        "",
        "| | |",
        "|---|---|",
        f"| from opening the page to all rows | {shown_s:.1f} s |",
        f"| pictures a second | {1000 * len(gaps) / sum(gaps):.0f} |",
        f"| between two pictures: median, 95 %, 99 %, longest | {p50:.0f}, {p95:.0f}, {p99:.0f}, "
        f"{most:.0f} ms |",
        f"| busy for more than 50 ms at a stretch | {len(busy)} times, longest "
        f"{max(busy, default=0):.0f} ms |",
        "",
    ]
    text = "\n".join(lines)
    (RESULTS / "page.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
