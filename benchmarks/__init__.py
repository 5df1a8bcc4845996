"""Benchmarks, run by hand: ``python -m benchmarks.NAME [--quick]``. Each ends in lines ``name: figure (goal …)``."""
