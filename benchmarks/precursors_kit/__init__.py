"""Recorded and virtual syntheses, policies that are compared on them, and their counted runs."""
