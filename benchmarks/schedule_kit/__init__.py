"""What the schedule benchmark is made of: cases, rivals and the bound."""
