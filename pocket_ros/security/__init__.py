"""Certificates and access control for a ROS graph: `pocket-ros security`.

Every machine gets a certificate with the name of its enclave. The router lets in who has one of
this authority, and lets each enclave do what its policy says. What comes out are configuration
files for ZENOH_SESSION_CONFIG_URI and ZENOH_ROUTER_CONFIG_URI, which rmw_zenoh_cpp reads as well.
"""

from pocket_ros.security.command import add_command

__all__ = ["add_command"]
