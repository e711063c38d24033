"""What powders do: formulas, stoichiometry, phases, thermodynamics, precursor choice."""
