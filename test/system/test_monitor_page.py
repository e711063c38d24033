"""The page beside a whole lab, in a real browser: it shows, somebody decides, the lab goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from matlab_ros.lab.events import FaultResolved, Paused, Resumed
from matlab_ros.model.lab_words import Resolution

pytest.importorskip("aiohttp", reason="pip install 'matlab_ros[monitor]'")
playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")

REPOSITORY = Path(__file__).parents[2]
PATIENCE_MS = 300_000
ALL_ENDED_OR_ASKING = """() => {
    const found = document.querySelectorAll('#table .row[data-id]');
    const rows = [...found].map((row) => row.innerText);
    return rows.length === 4 && rows.some((text) => /succeeded/.test(text))
        && rows.every((text) => /waits for a decision|succeeded/.test(text));
}"""


@pytest.fixture
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as kit:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        if path is None and not Path(kit.chromium.executable_path).exists():
            pytest.skip(
                "there is no Chromium (apt install chromium, or playwright install chromium)"
            )
        found = kit.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts ``matlab-ros monitor`` in a campaign's graph; the address of its page."""
    started: list[subprocess.Popen[str]] = []

    def start(campaign: Any, *words: str) -> str:
        process = subprocess.Popen(
            [sys.executable, "-m", "matlab_ros.cli", "monitor", "--port", "0", *words],
            cwd=REPOSITORY,
            env={**os.environ, **campaign.graph, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        return address

    yield start
    for process in started:
        process.terminate()
        assert process.wait(30) == 0


def picture(page: Any, file: Path) -> None:
    """The whole page; its head, which stays in sight, only once."""
    style = page.add_style_tag(content="#bar { position: static !important }")
    page.screenshot(path=file, full_page=True)
    style.evaluate("made => made.remove()")


def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: kept where somebody wants to look at them."""
    folder = Path(os.environ.get("MATLAB_ROS_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_fault_is_resolved_by_a_click_and_the_campaign_goes_on(
    asking_campaign: Any, serve: Callable[..., str], browser: Any, tmp_path: Path
) -> None:
    campaign = asking_campaign
    page = browser.new_page(viewport={"width": 1440, "height": 1100})
    page.set_default_timeout(PATIENCE_MS)
    asked_for: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # The campaign's own processes come up first.
    address = serve(campaign, "--lab-file", str(REPOSITORY / "config/labs/virtual_lab.yaml"))
    page.goto(address)
    page.get_by_text("simulated instruments").wait_for()
    page.locator("#link.up").wait_for()

    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Paused: lab").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.locator("#banner").wait_for(state="hidden")

    # Every experiment has ended, or waits for a decision.
    page.wait_for_function(ALL_ENDED_OR_ASKING)
    questions = page.locator("article.fault")
    count = questions.count()
    assert 0 < count < 4
    page.locator("#table .row", has_text="succeeded").first.click()
    page.locator("#pattern .main-svg").first.wait_for()
    assert "requested" in page.locator("#detail").inner_text()
    best = page.locator(".tile.lead .value").inner_text()
    assert best.endswith(" %")
    assert float(best.removesuffix(" %")) > 0
    picture(page, pictures(tmp_path) / "page-fault.png")

    for _ in range(count):
        before = questions.count()
        questions.first.get_by_role("button", name="abort experiment").click()
        page.wait_for_function(
            "n => document.querySelectorAll('article.fault').length < n", arg=before
        )
    assert campaign.end() == 0, campaign.told()
    page.get_by_text("Nothing is heard of the lab manager").wait_for()
    picture(page, pictures(tmp_path) / "page-end.png")

    decided = [item for item in campaign.events(FaultResolved) if item.resolved_by != "policy"]
    assert {item.resolution for item in decided} == {Resolution.ABORT_EXPERIMENT}
    assert len(decided) == count
    assert len(campaign.events(Paused)) == len(campaign.events(Resumed)) == 1
    observed = [item.objective for item in campaign.observations().values()]
    found = [value for value in observed if value is not None]
    assert f"{100 * max(found):.1f} %" == best
    assert not complaints
    assert {url for url in asked_for if not url.startswith((address, "blob:", "data:"))} == set()
