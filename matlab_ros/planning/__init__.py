"""Deciding what to make next: search space, surrogate models, acquisition, campaigns."""
