"""What make does for somebody who has just cloned the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """A Python that takes itself for 3.9.2."""
    program = tmp_path / "old_python"
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "sys.version, sys.version_info = '3.9.2 (old)', (3, 9, 2)\n"
        "assert sys.argv[1] == '-c'\n"
        "exec(sys.argv[2])\n"
    )
    program.chmod(0o755)
    return program


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_setup_refuses_an_old_python_in_a_sentence(
    root: Path, old_python: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    done = subprocess.run(
        ["make", "setup", f"VENV={environment}", f"PYTHON={old_python}"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode != 0
    assert "Python 3.10 or later is needed, this is 3.9.2" in done.stderr
    assert not environment.exists()
