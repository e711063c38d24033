"""The other end of the wires: emulated instruments, virtual chemistry, robot and clock."""
