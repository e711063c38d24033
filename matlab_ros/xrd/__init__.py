"""Seeing what was made: patterns, simulation, phase search, refinement."""
