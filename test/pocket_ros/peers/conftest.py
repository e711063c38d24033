"""Packages that foreign peers need, in folders of their own: they must not stand beside ours."""

from __future__ import annotations

import hashlib
import os
import shutil
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

    failed: dict[str, str] = {}

    def install(requirements: str) -> str:
        text = (_HERE / requirements).read_text(encoding="utf-8")
        digest = hashlib.sha256(f"{text}{sys.version}{sys.platform}".encode()).hexdigest()[:12]
        target = request.config.cache.mkdir(f"{Path(requirements).stem}-{digest}") / "packages"
        if not target.exists() and requirements not in failed:
            try:
                _install(_HERE / requirements, target)
            except subprocess.SubprocessError as error:
                failed[requirements] = _last_line(error)
        if requirements in failed:
            reason = f"pip could not install {requirements}: {failed[requirements]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
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
    except subprocess.SubprocessError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    unfinished.rename(target)


def _last_line(error: subprocess.SubprocessError) -> str:
    output = getattr(error, "stderr", None) or str(error)
    text = output if isinstance(output, str) else output.decode(errors="replace")
    return text.strip().splitlines()[-1]
