"""Benchmark suites: many runs that share stages, and one table of results."""
