"""The documentation's site builds without a warning, and its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("material", reason="pip install 'matlab_ros[docs]'")

_LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
_FETCHING = ("stylesheet", "icon", "preload", "prefetch", "preconnect", "modulepreload")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


class _Loads(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in _LOADING:
            self.found.append(values.get(_LOADING[tag]) or "")
        if tag == "link" and any(word in (values.get("rel") or "") for word in _FETCHING):
            self.found.append(values.get("href") or "")


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        outside = [item for item in loads.found if re.match(r"(?:https?:)?//", item)]
        assert not outside, f"{page.name}: {outside}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text("utf-8"))


def test_every_page_of_the_reference_is_there(site: Path) -> None:
    for name in ("command_line", "error_codes", "files", "interfaces", "states"):
        assert (site / "reference" / f"{name}.html").stat().st_size > 10_000


def test_links_out_of_the_folder_lead_to_pages(site: Path) -> None:
    text = (site / "safety.html").read_text(encoding="utf-8")
    assert 'href="repository/benchmarks/results/safe_stop.html"' in text
    assert (site / "repository/benchmarks/results/safe_stop.html").exists()
