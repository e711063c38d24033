"""A launch file in YAML."""

from __future__ import annotations

from pocket_ros.launch_api.launch.launch_description_sources import FrontendLaunchDescriptionSource

__all__ = ["YAMLLaunchDescriptionSource"]


class YAMLLaunchDescriptionSource(FrontendLaunchDescriptionSource):
    """A launch file in YAML."""
