"""What benchmarks/safe_stop.py is made of."""
