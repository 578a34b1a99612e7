"""Correctness, time and memory on an NVIDIA GPU: `python -m benchmarks.gpu`."""
