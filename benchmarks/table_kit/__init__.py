"""Parts of the tests and benchmarks that run on a table lab."""
