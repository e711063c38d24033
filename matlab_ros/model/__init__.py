"""Words everybody shares: samples, containers, positions, recipes, faults, units."""
