"""A launch file in XML."""

from __future__ import annotations

from pocket_ros.launch_api.launch.launch_description_sources import FrontendLaunchDescriptionSource

__all__ = ["XMLLaunchDescriptionSource"]


class XMLLaunchDescriptionSource(FrontendLaunchDescriptionSource):
    """A launch file in XML."""
