"""Every driver on a wire that damages what it carries, and what must hold all the same."""
