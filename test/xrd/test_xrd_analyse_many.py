"""Many patterns are analysed at once, each leaves its results, and none takes the others down."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from matlab_ros.cli import main
from matlab_ros.share import share_dir
from matlab_ros.xrd.analyse_many import planned
from matlab_ros.xrd.structure_index import PLACE_VARIABLE

STRUCTURES = share_dir() / "config" / "structures"
MEASURED = Path(__file__).parent / "data" / "TiO2_0p4009-ZnO_0p6010--2min.xrdml"
DOCS = Path(__file__).parents[2] / "docs" / "analyse.md"
PATIENCE_S = 60.0


@pytest.fixture
def patterns(tmp_path: Path) -> Path:
    """Two good ones and a damaged one."""
    folder = tmp_path / "patterns"
    folder.mkdir()
    shutil.copy(MEASURED, folder / "a.xrdml")
    shutil.copy(MEASURED, folder / "b.xrdml")
    (folder / "damaged.xrdml").write_bytes(MEASURED.read_bytes()[:5000])
    return folder


def test_results_of_one_name_do_not_overwrite_each_other() -> None:
    jobs = planned([Path("x/a.xy"), Path("y/a.xy"), Path("b.raw")], Path("out"), [".json"])
    assert [job.outputs[0].name for job in jobs] == ["a.json", "a-2.json", "b.json"]


def test_a_folder_of_patterns_leaves_results_and_names_the_damaged_one(
    patterns: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code = main(
        [
            *("analyse", str(patterns), "--phases", "TiO2-Anatase,ZnO", "--no-confirm"),
            *("--jobs", "2", "--structures", str(STRUCTURES), "--out", str(out)),
        ]
    )
    told = capsys.readouterr()
    assert code == 1
    assert re.search(r"a\.xrdml .*ZnO 6\d\.\d, TiO2 3\d\.\d", told.out)
    assert "3 of 3 patterns: 1 not analysed, 2 provisional" in told.out
    assert "damaged.xrdml: it is not complete XML" in told.err
    assert {path.name for path in out.iterdir()} == {
        *(f"{stem}{ending}" for stem in "ab" for ending in (".json", ".html", ".png")),
        "plotly.min.js",
    }
    assert (out / "a.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "a.html").read_text(encoding="utf-8")
    assert "provisional" in page
    assert "Kisi" in page
    document = json.loads((out / "a.json").read_text(encoding="utf-8"))
    assert document["schema"] == 1
    assert document["verdict"]["kind"] == "provisional"


def test_the_document_is_what_its_description_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["analyse", str(MEASURED), "--elements", "Ti,Zn,O", "--no-confirm", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    described = DOCS.read_text(encoding="utf-8").split("## The document")[1]
    rows = re.findall(r"^\| ([^|]+) \|", described, re.MULTILINE)
    words = {word for row in rows for word in re.findall(r"`\.?([a-z_]+)(?:\[\])?`", row)}
    phase = document["phases"][0]
    assert words == document.keys() - {"schema"} | phase.keys() - {"weight_fraction_uncorrected"}
    everything = set(re.findall(r"`\.?([a-z_]+)(?:\[\])?`", described))
    for part in ("fit", "verdict", "second_refinement", "unexplained"):
        assert document[part].keys() <= everything, part


def test_several_documents_are_a_list_and_a_failed_one_says_why(
    patterns: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(patterns / "a.xrdml"), str(patterns / "damaged.xrdml")]
    code = main(
        [
            *("analyse", *files, "--phases", "ZnO", "--no-confirm", "--json", "--jobs", "1"),
            *("--out", str(tmp_path / "out")),
        ]
    )
    documents = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [d["file"] for d in documents] == files
    assert documents[1].keys() == {"schema", "file", "error"}


def test_what_makes_no_sense_starts_nothing(
    patterns: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [str(patterns / "a.xrdml"), str(patterns / "b.xrdml")]
    assert main(["analyse", *both, "--phases", "ZnO", "--plot", "a.png"]) == 2
    assert main(["analyse", *both, "--phases", "ZnO", "--jobs", "0"]) == 2
    assert main(["analyse", str(tmp_path), "--phases", "ZnO"]) == 2
    assert main(["analyse", *both, "--phases", "ZnO", "--out", str(patterns / "a.xrdml")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 4


def test_after_an_interrupt_the_finished_results_are_whole_and_the_others_are_not_there(
    tmp_path: Path,
) -> None:
    folder, out = tmp_path / "patterns", tmp_path / "out"
    folder.mkdir()
    for number in range(40):
        shutil.copy(MEASURED, folder / f"{number:02d}.xrdml")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "matlab_ros.cli", "analyse", str(folder), "--no-confirm"),
            *("--phases", "TiO2,ZnO", "--jobs", "2", "--out", str(out)),
            *("--structures", str(STRUCTURES)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, PLACE_VARIABLE: str(tmp_path / "place")},
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not list(out.glob("*.png")) and process.poll() is None:
        assert time.monotonic() < deadline, "no result within the deadline"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    # As a terminal does it: to every process of the command.
    os.killpg(process.pid, signal.SIGINT)
    told, complaints = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "interrupted" in complaints
    assert "Traceback" not in complaints
    assert "of 40 patterns" in told
    assert not list(out.glob("*.part*"))
    for path in out.glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["phases"]
