"""The tutorial's code runs as it stands and comes to what it says; notebooks are fresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def _run(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    import blocks
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for block in blocks.python_blocks(page.read_text(encoding="utf-8")):
        exec(compile(block, page.name, "exec"), names)
    return names


def test_the_tutorial_runs_and_comes_to_what_it_says(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = _run(repository / "docs" / "tutorial.md", tmp_path, monkeypatch)
    last = {method: curve[-1] for method, curve in names["median"].items()}
    assert max(last, key=lambda method: last[method]) == "bayesian"
    assert min(last["nelder-mead"], last["annealing"]) > max(last["random"], last["grid"])
    assert names["errors"]["active learning"] < 0.75 * names["errors"]["random"]
    assert names["errors"]["active learning"] < 0.75 * names["errors"]["bayesian"]
    assert names["truth"].yields.max() == pytest.approx(0.93, abs=0.005)
    for picture in ("convergence.png", "where.png"):
        assert (tmp_path / picture).stat().st_size > 10_000


def test_ten_lines_find_the_best(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = _run(repository / "docs" / "ten_lines.md", tmp_path, monkeypatch)
    assert names["campaign"].best().settings.number("temperature_c") == pytest.approx(843, abs=10)
    assert np.isfinite(names["loaded"].best().objective)


@pytest.mark.parametrize("name", ["tutorial", "ten_lines"])
def test_a_notebook_is_that_of_its_page(repository: Path, name: str) -> None:
    import blocks

    page = (repository / "docs" / f"{name}.md").read_text(encoding="utf-8")
    found = (repository / "docs" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert found == blocks.notebook(page), "python docs/tools/blocks.py writes it anew"
    cells = json.loads(found)["cells"]
    code = ["".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code"]
    assert code == blocks.python_blocks(page)
