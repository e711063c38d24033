"""Packages are found where colcon, pip and source trees put them."""

import json
import sys

import pytest

from pocket_ros import packages


def package(folder, name):
    (folder / "msg").mkdir(parents=True)
    (folder / "package.xml").write_text(f"<package><name>{name}</name></package>")
    return folder


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.delenv("POCKET_ROS_PACKAGE_PATH", raising=False)
    packages.refresh()
    yield
    packages.refresh()


def test_ament_prefixes_come_first(tmp_path, monkeypatch):
    installed = package(tmp_path / "install" / "share" / "demo", "demo")
    package(tmp_path / "src" / "demo", "demo")
    monkeypatch.setenv("POCKET_ROS_PACKAGE_PATH", str(tmp_path / "src"))
    assert packages.share_directory("demo") == tmp_path / "src" / "demo"
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "install"))
    assert packages.share_directory("demo") == installed


def test_editable_installs_are_source_workspaces(tmp_path, monkeypatch):
    package(tmp_path / "project", "demo")
    below = package(tmp_path / "project" / "other_folder", "demo_interfaces")
    package(tmp_path / "project" / "build", "not_this_one")
    info = tmp_path / "site" / "demo-1.dist-info"
    info.mkdir(parents=True)
    url = (tmp_path / "project").as_uri()
    (info / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {"editable": True}}))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "site")])
    assert packages.share_directory("demo") == tmp_path / "project"
    assert packages.interface_folders("demo_interfaces") == [below]
    assert {"demo", "demo_interfaces"} <= packages.interface_packages()
    assert "not_this_one" not in packages.interface_packages()


def test_installed_wheels_are_below_the_prefix(tmp_path, monkeypatch):
    share = package(tmp_path / "share" / "demo", "demo")
    (tmp_path / "share" / "pocket_ros" / "interfaces" / "lab_msgs" / "msg").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert packages.share_directory("demo") == share
    assert "lab_msgs" in packages.interface_packages()


def test_a_missing_package_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    with pytest.raises(packages.PackageNotFoundError, match=f"'nobody'.*{tmp_path}/share"):
        packages.share_directory("nobody")
    with pytest.raises(packages.PackageNotFoundError, match="'no-distribution'"):
        packages.executables("no-distribution")
