"""Raw files are kept by their content, whole, and never read as something else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matlab_ros.model.errors import DataError
from matlab_ros.nodes.raw_files import keep, path_of
from matlab_ros_interfaces.msg import RawFile


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=2000))
def test_what_was_kept_is_found_again(tmp_path: Path, content: bytes) -> None:
    kept = keep(content, tmp_path / "raw files", ".xrdml", "text/xml")
    assert kept.sha256 == hashlib.sha256(content).hexdigest()
    assert kept.size_bytes == len(content)
    assert path_of(kept).read_bytes() == content
    assert path_of(kept).name == f"{kept.sha256}.xrdml"


def test_the_same_content_is_kept_once_and_nothing_unfinished_stays(tmp_path: Path) -> None:
    first = keep(b"counts", tmp_path, ".xrdml", "text/xml")
    before = path_of(first).stat().st_mtime_ns
    assert keep(b"counts", tmp_path, ".xrdml", "text/xml") == first
    assert path_of(first).stat().st_mtime_ns == before
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [path_of(first)]


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    kept = keep(b"counts", tmp_path, ".xrdml", "text/xml")
    path_of(kept).write_bytes(b"counts!")
    with pytest.raises(DataError, match="other bytes"):
        path_of(kept)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    kept = keep(b"counts", tmp_path, ".xrdml", "text/xml")
    path = path_of(kept)
    path.unlink()
    with pytest.raises(DataError, match=str(path)):
        path_of(kept)


@pytest.mark.parametrize("uri", ["", "https://example.org/a.xrdml", "a.xrdml"])
def test_only_files_of_this_machine_are_read(uri: str) -> None:
    with pytest.raises(DataError, match="no file of this machine"):
        path_of(RawFile(uri=uri))
