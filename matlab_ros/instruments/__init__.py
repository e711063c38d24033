"""Speaking to instruments over their own protocols (serial, Modbus, TCP)."""
