"""What goes into an archive is read back by others' libraries, and nothing in it was changed."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from matlab_ros.lab.goals import RawFile
from matlab_ros.model.errors import ConfigError
from matlab_ros.monitor.archive import write_archive
from matlab_ros.monitor.record import CampaignRecord

pytest.importorskip("rocrate", reason="pip install 'matlab_ros[archive]'")
parquet = pytest.importorskip("pyarrow.parquet", reason="pip install 'matlab_ros[archive]'")

from rocrate.rocrate import ROCrate  # noqa: E402


@pytest.fixture
def raw(tmp_path: Path) -> RawFile:
    file = tmp_path / "abc.fit.csv"
    file.write_text("two_theta,counts\n10,5\n")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return RawFile(file.as_uri(), digest, file.stat().st_size, "text/csv")


def test_every_experiment_is_in_csv_and_parquet_with_its_digits(
    tmp_path: Path, campaign_of: Callable[..., CampaignRecord]
) -> None:
    data = campaign_of(12)
    write_archive(data, (), tmp_path / "crate")
    rows = list(csv.DictReader((tmp_path / "crate/experiments.csv").open(encoding="utf-8")))
    table = parquet.read_table(tmp_path / "crate/experiments.parquet").to_pylist()
    assert len(rows) == len(table) == len(data.experiments) > 0
    for item, row, typed in zip(data.experiments, rows, table, strict=True):
        assert row["experiment"] == typed["experiment"] == item.experiment_id
        assert typed["objective"] == item.objective
        assert row["objective"] == ("" if item.objective is None else repr(item.objective))
        for name, value in item.settings.items():
            assert typed[f"requested_{name}"] == value
    fractions = parquet.read_table(tmp_path / "crate/phases.parquet").to_pylist()
    wanted = [
        phase.weight_fraction
        for item in data.experiments
        if item.analysis is not None
        for phase in item.analysis.phases
    ]
    assert math.isclose(sum(row["weight_fraction"] for row in fractions), math.fsum(wanted))


def test_the_crate_describes_every_file_in_it(
    tmp_path: Path, campaign_of: Callable[..., CampaignRecord], raw: RawFile
) -> None:
    definition = tmp_path / "definition"
    (definition / "labs").mkdir(parents=True)
    (definition / "labs/mylab.yaml").write_text("name: mylab\n")
    done = write_archive(campaign_of(12), (raw, raw), tmp_path / "crate", definition=definition)
    assert (done.raw_files, done.missing) == (1, ())
    crate = ROCrate(tmp_path / "crate")
    described = {item.id for item in crate.data_entities}
    there = {
        file.relative_to(tmp_path / "crate").as_posix()
        for file in (tmp_path / "crate").rglob("*")
        if file.is_file()
    }
    assert described == there - {"ro-crate-metadata.json"}
    assert f"raw/{raw.sha256}.fit.csv" in there
    for item in crate.data_entities:
        digest = hashlib.sha256((tmp_path / "crate" / item.id).read_bytes()).hexdigest()
        assert item.properties()["sha256"] == digest


def test_a_raw_file_that_was_changed_or_is_gone_is_told_and_left_out(
    tmp_path: Path, campaign_of: Callable[..., CampaignRecord], raw: RawFile
) -> None:
    gone = replace(raw, uri=(tmp_path / "gone.xrdml").as_uri(), sha256="0" * 64)
    (tmp_path / "abc.fit.csv").write_text("two_theta,counts\n10,50000\n")
    done = write_archive(campaign_of(12), (raw, gone), tmp_path / "crate")
    assert done.raw_files == 0
    assert "is not what it was" in done.missing[0]
    assert "is not on this machine" in done.missing[1]
    assert not (tmp_path / "crate/raw").exists()


def test_an_archive_is_never_written_over(
    tmp_path: Path, campaign_of: Callable[..., CampaignRecord]
) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        write_archive(campaign_of(12), (), tmp_path)
