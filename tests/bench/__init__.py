"""Benchmarks: `python -m tests.bench pipeline`."""
