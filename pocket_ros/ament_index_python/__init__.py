"""ament_index_python's API over `pocket_ros.packages`."""

from pocket_ros.ament_index_python.packages import (
    PackageNotFoundError,
    get_package_share_directory,
    get_package_share_path,
)

__all__ = ["PackageNotFoundError", "get_package_share_directory", "get_package_share_path"]
