"""The page in a real browser, beside made-up values: many rows, keys, tokens, dark and light."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="pip install 'matlab_ros[monitor]'")
playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")

from matlab_ros.monitor.access import Role, load_access, make_token  # noqa: E402

PATIENCE_MS = 60_000
MANY = 10_000


@pytest.fixture(scope="module")
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


def experiment(number: int) -> dict[str, Any]:
    return {
        "state": "succeeded",
        "settings": {"temperature_c": 700.0 + number % 500, "precursors": "MgO + <b>rutile</b>"},
        "step": "",
        "objective": (number * 37 % 1000) / 1000,
        "paused": False,
        "canceling": False,
        "asking": False,
    }


def fill(values: Any) -> None:
    values.put("link", "lab", {"heard": True})
    state = {"lab": "virtual_lab", "time_s": 1e9, "campaign": "demo", "budget": MANY, "best": 0.999}
    state |= {"succeeded": MANY, "failed": 0, "in_flight": 0, "best_id": "demo-e00027"}
    state |= {"paused": False, "paused_names": [], "canceling": False, "estopped": False}
    values.put("lab", "state", {**state, "open_faults": 0, "questions": 0})
    for number in range(MANY):
        values.put("experiments", f"demo-e{number:05}", experiment(number))


def open_page(browser: Any, address: str, **options: Any) -> Any:
    page = browser.new_page(viewport={"width": 1300, "height": 900}, **options)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    return page


def test_ten_thousand_rows_are_few_in_the_document_and_all_within_reach(serve, browser):
    served = serve()
    fill(served.values)
    page = open_page(browser, served.address)
    page.get_by_text("10000", exact=True).first.wait_for()
    rows = page.locator("#table .row[data-id]")
    assert rows.first.get_attribute("data-id") == "demo-e09999"
    assert rows.count() < 60
    page.locator("#table").focus()
    page.keyboard.press("Home")
    page.keyboard.press("End")
    page.locator("#row-demo-e00000[aria-selected=true]").wait_for()
    page.keyboard.press("ArrowUp")
    page.locator("#row-demo-e00001[aria-selected=true]").wait_for()
    page.get_by_role("button", name="objective").click()
    page.locator("#table .row[data-id]").first.get_by_text("99.9 %").wait_for()
    page.locator("#filter").fill("demo-e00042")
    page.get_by_text("1 of 10000").wait_for()
    # What comes from a file is text, never a part of the page.
    assert page.locator("#table b").count() == 0
    assert "<b>rutile</b>" in page.locator("#row-demo-e00042").inner_text()


def test_what_changes_is_shown_without_being_asked_for(serve, browser):
    served = serve()
    fill(served.values)
    page = open_page(browser, served.address)
    page.locator("#link.up").wait_for()
    for number in range(40):
        celsius = 500.0 + number
        served.values.put("measured", "furnace_1", {"time_s": 1e9 + number, "celsius": celsius})
    page.get_by_text("539.0 °C").first.wait_for()
    served.values.put("experiments", "demo-e10000", {**experiment(5), "asking": True})
    page.locator("#table").get_by_text("waits for a decision").wait_for()
    assert page.get_by_role("button", name="Pause").is_enabled()
    served.values.put("link", "lab", {"heard": False})
    page.get_by_text("Nothing is heard of the lab manager").wait_for()
    assert page.get_by_role("button", name="Pause").is_disabled()


def test_a_wrong_token_is_refused_and_a_viewer_sees_and_cannot_act(serve, browser, tmp_path):
    file = tmp_path / "tokens"
    token = make_token(file, "ben", Role.VIEWER)
    served = serve(load_access(file))
    fill(served.values)
    page = open_page(browser, served.address)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open the lab").click()
    page.get_by_text("This token is not known.").wait_for()
    assert page.locator("#table").count() == 0
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Open the lab").click()
    page.locator("#link.up").wait_for()
    page.get_by_text("99.9 %").first.wait_for()
    assert page.get_by_role("button", name="Emergency stop").is_disabled()
    assert token not in page.url


def test_dark_and_light_are_both_readable(serve, browser):
    served = serve()
    fill(served.values)
    for scheme in ("light", "dark"):
        page = open_page(browser, served.address, color_scheme=scheme)
        page.locator("#link.up").wait_for()
        ink, paper = page.evaluate(
            "() => (({color, backgroundColor}) => [color, backgroundColor])"
            "(getComputedStyle(document.body))"
        )
        assert contrast(ink, paper) > 7, scheme
        soft = page.evaluate("() => getComputedStyle(document.querySelector('.soft')).color")
        assert contrast(soft, paper) > 4.5, scheme


def contrast(first: str, second: str) -> float:
    """Ratio of relative luminances after WCAG 2."""
    bright, dim = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [int(word) / 255 for word in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
