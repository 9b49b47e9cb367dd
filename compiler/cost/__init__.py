"""Costs of a program before it runs: read from the protocols' declarations."""
