"""Packages that foreign peers need, in folders of their own: they must not stand beside ours."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_HERE = Path(__file__).resolve().parent
_LONGEST_INSTALL_SEC = 120


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Install a requirements file of this folder once; returns a PYTHONPATH that begins with it.

    pytest keeps the folder in its cache. Where it cannot be installed the test is skipped, but on
    a CI machine (which sets CI) it fails.
    """

    def install(requirements: str) -> str:
        text = (_HERE / requirements).read_text(encoding="utf-8")
        digest = hashlib.sha256(f"{text}{sys.version}{sys.platform}".encode()).hexdigest()[:12]
        target = request.config.cache.mkdir(f"{Path(requirements).stem}-{digest}") / "packages"
        if not target.exists():
            _install(_HERE / requirements, target)
        return os.pathsep.join(filter(None, [str(target), os.environ.get("PYTHONPATH")]))

    return install


def _install(requirements: Path, target: Path) -> None:
    unfinished = target.with_suffix(f".{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--retries", "1"]
    command += ["--no-deps", "--target", str(unfinished), "--requirement", str(requirements)]
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=_LONGEST_INSTALL_SEC
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        last = (str(error.stderr or error).strip().splitlines() or [""])[-1]
        reason = f"pip could not install {requirements.name}: {last}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    unfinished.rename(target)
