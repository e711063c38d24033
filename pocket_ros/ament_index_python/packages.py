"""Look up the share directory of a package."""

from pathlib import Path

from pocket_ros.packages import PackageNotFoundError, share_directory

__all__ = ["PackageNotFoundError", "get_package_share_directory", "get_package_share_path"]


def get_package_share_directory(package_name: str) -> str:
    """The package's share directory; raises PackageNotFoundError, which is a KeyError."""
    return str(share_directory(package_name))


def get_package_share_path(package_name: str) -> Path:
    """The package's share directory as a path."""
    return share_directory(package_name)
