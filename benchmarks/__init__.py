"""Benchmarks of the engine: one command, ``python -m benchmarks``; see ``docs/benchmarks.md``."""
