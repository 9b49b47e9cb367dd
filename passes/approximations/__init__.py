"""Approximations as data: how a function is computed on a range, with its error."""
