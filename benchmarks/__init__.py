"""Benchmarks whose results are checked: ``python -m benchmarks --help``.

Run from the root of the repository, in an environment that has the core package. See README.md
here for what the fields of a line mean.
"""
