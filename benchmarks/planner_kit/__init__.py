"""Pools of recorded recipes, the planners that are compared on them, and their counted runs."""
