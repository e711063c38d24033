"""What can be wrong with a policy, a certificate or an authority's folder."""

from __future__ import annotations


class SecurityError(Exception):
    """Something cannot be secured as asked; the message says what and what to do."""
