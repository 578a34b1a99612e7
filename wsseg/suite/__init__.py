"""Benchmark suites: many runs, shared stages, one table."""
