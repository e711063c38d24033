"""The tools that make the site and the notebooks are no package: they are found by their folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
sys.path.append(str(REPOSITORY / "docs" / "tools"))


@pytest.fixture
def repository() -> Path:
    """Root of the repository."""
    return REPOSITORY
