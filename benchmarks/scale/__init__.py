"""Many jobs on a cluster with faults, and cohorts of many cases: `python -m benchmarks.scale`."""
